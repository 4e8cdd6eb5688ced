"""The MCP server, asked by the protocol's own client over streamable HTTP."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client

from tests.e2e.conftest import Server

T = TypeVar("T")


def with_session(server: Server, use: Callable[[ClientSession], Awaitable[T]]) -> T:
    """Return what comes of a session with the server."""

    async def run() -> T:
        async with (
            streamable_http_client(f"{server.url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await use(session)

    return asyncio.run(run())


def call(server: Server, tool: str, **arguments: object) -> types.CallToolResult:
    return with_session(server, lambda session: session.call_tool(tool, arguments))


def text_of(result: types.CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


def data_url(content: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"


def test_only_predict_and_status_are_tools_and_say_what_they_take(server: Server) -> None:
    tools = with_session(server, lambda session: session.list_tools()).tools

    assert [tool.name for tool in tools] == ["predict", "status"]
    predict, status = tools
    assert predict.description is not None
    assert "none_of_these" in predict.description
    assert predict.inputSchema["required"] == ["image"]
    assert "https://" in predict.inputSchema["properties"]["image"]["description"]
    assert predict.inputSchema["properties"]["image"]["type"] == "string"
    assert status.inputSchema["properties"] == {}
    # The list that the Hugging Face Hub reads is the same.
    listed = httpx.get(f"{server.url}/gradio_api/mcp/schema").json()
    assert [tool["name"] for tool in listed] == ["predict", "status"]


def test_a_photo_as_data_is_answered_with_the_digits_of_rest(server: Server, photos: Path) -> None:
    content = (photos / "mango.jpg").read_bytes()

    result = call(server, "predict", image=data_url(content), top_k=2)

    rest = httpx.post(f"{server.url}/api/predict", params={"top_k": 2}, content=content).json()
    answer = json.loads(text_of(result))
    assert not result.isError
    assert (answer["label"], answer["probabilities"]) == ("mango", rest["probabilities"])


def test_a_photo_uploaded_before_is_named_by_its_address(server: Server, photos: Path) -> None:
    # `gradio upload-mcp` does this for a client that has files.
    with (photos / "apple.jpg").open("rb") as file:
        path = httpx.post(f"{server.url}/gradio_api/upload", files={"files": file}).json()[0]

    result = call(server, "predict", image=f"{server.url}/gradio_api/file={path}")

    assert json.loads(text_of(result))["label"] == "apple"


def test_status_says_what_rest_says(server: Server) -> None:
    answer = json.loads(text_of(call(server, "status")))

    rest = httpx.get(f"{server.url}/api/status").json()
    assert set(answer) == set(rest)
    assert answer["model"]["labels"] == rest["model"]["labels"]


def refused(server: Server, tool: str, **arguments: object) -> str:
    result = call(server, tool, **arguments)
    assert result.isError
    return text_of(result)


def test_what_cannot_be_used_is_refused_with_what_can(server: Server, photos: Path) -> None:
    notes = data_url((photos / "notes.jpg").read_bytes())

    assert "'/etc/hostname'; accepted: the https:// address" in refused(
        server, "predict", image="/etc/hostname"
    )
    assert "is not a picture" in refused(server, "predict", image=notes)
    assert "no base64" in refused(server, "predict", image="data:image/png;base64,photo")
    assert "top_k is 0; it must be 1 or more" in refused(
        server, "predict", image=data_url((photos / "apple.jpg").read_bytes()), top_k=0
    )
    assert "'image' is a required property" in refused(server, "predict")
    assert "Unknown tool" in refused(server, "retrain")


@pytest.mark.parametrize(
    "address",
    [
        "{server}/api/status",
        "http://localhost/photo.jpg",
        "http://127.1/photo.jpg",
        "http://[::1]/photo.jpg",
        "http://[::ffff:127.0.0.1]/photo.jpg",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/photo.jpg",
        "{server}/gradio_api/file=/etc/hostname",
    ],
)
def test_nothing_is_fetched_that_only_this_server_can_reach(server: Server, address: str) -> None:
    words = refused(server, "predict", image=address.format(server=server.url))

    assert "no public host" in words or "accepted: 80 and 443" in words


def test_body_beyond_the_limit_is_refused(server: Server) -> None:
    request: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "x" * 5_000_000}

    response = httpx.post(
        f"{server.url}/gradio_api/mcp/",
        json=request,
        headers={"Accept": "application/json, text/event-stream"},
    )

    assert response.status_code == 413


def test_address_without_its_slash_leads_there(server: Server) -> None:
    response = httpx.get(f"{server.url}/gradio_api/mcp", follow_redirects=True)

    assert response.status_code == 200
    assert "Model Context Protocol" in response.text
