"""Two tools for programs that speak MCP (Model Context Protocol): ``predict`` and ``status``.

They stand in a ``Blocks`` of their own, apart from the page. Gradio makes a tool of every public
endpoint of the one that it is given, and no endpoint that changes photos or models shall ever
become one, whoever adds it.
"""

import json
from pathlib import Path
from typing import Any, Final

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from gradio.events import api
from gradio.mcp import GradioMCPServer

from app.errors import ToolFailed, describe_error
from app.links import Links
from app.monitoring import MonitoringService
from app.results import new_request_id
from app.service import PredictionService
from app.settings import Settings

PATH: Final = "/gradio_api/mcp"  # where clients look for it on any Gradio app


def build_tools(
    service: PredictionService, monitoring: MonitoringService, settings: Settings, uploads: Path
) -> GradioMCPServer:
    """Return the MCP server; it answers within its ``lifespan``.

    Args:
        service: answers.
        monitoring: knows whether all is well.
        settings: limits of images.
        uploads: where Gradio keeps what was uploaded.
    """
    links = Links(settings, uploads)

    # Gradio reads the descriptions from the docstrings: the paragraph, and one line an argument.
    async def predict(image: str, top_k: int | None = None) -> str:
        """Name the fruit on one photo, and say how probable each class is.

        Answers with JSON: label, probability, probabilities of the classes, the model's version
        and times in milliseconds. The label is none_of_these where the photo shows no fruit that
        the model knows; nearest is then the most similar class. The status tool lists the classes.

        Args:
            image: https:// address of a public JPEG, PNG or WebP; or data:image/jpeg;base64,...
            top_k: how many probabilities to return, the most probable first; all by default.
        """
        request_id = new_request_id()
        try:
            file = await links.read(image)
            answer = await service.predict_async(file.content, top_k=top_k, request_id=request_id)
        except Exception as error:
            raise _failed(error, request_id) from error
        return _as_text(answer.to_dict())

    def status() -> str:
        """Say which model version answers, which classes it knows and how well it does.

        Answers with JSON: whether it is ready, the model with its labels and test scores, how many
        photos it named and refused, latencies, memory, disk, drift and open alerts.
        """
        try:
            return _as_text(monitoring.status())
        except Exception as error:
            raise _failed(error, new_request_id()) from error

    with gr.Blocks(title="Fruit classifier", analytics_enabled=False) as tools:
        for function in (predict, status):
            # Off the queue: Gradio answers such a call by itself, where it would else call its own
            # address, which it takes from the headers of the first request.
            api(function, api_name=function.__name__, queue=False)
    return GradioMCPServer(tools)


def mount_tools(app: FastAPI, tools: GradioMCPServer, root_path: str) -> None:
    """Add the MCP server's routes; before the page's, which take every path."""
    tools.launch_mcp_on_sse(app, PATH, root_path)

    @app.api_route(PATH, methods=["GET", "POST", "DELETE"])
    async def with_slash(request: Request) -> RedirectResponse:
        return RedirectResponse("mcp/", 307)


def _as_text(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False)


def _failed(error: Exception, request_id: str) -> ToolFailed:
    return ToolFailed(describe_error(error, request_id)[1]["message"])
