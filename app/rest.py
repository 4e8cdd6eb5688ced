"""The REST routes: a request in, one call of the service, JSON out."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from app.bodies import read_body, read_upload
from app.collection import CollectionService
from app.errors import MethodNotAllowed, UnknownRoute, UploadsOff, http_error
from app.results import new_request_id
from app.schemas import (
    PREDICT_ERRORS,
    PREDICT_REQUEST,
    UPLOAD_ERRORS,
    UPLOAD_REQUEST,
    ClassProgress,
    HealthBody,
    NamedError,
    NamedPrediction,
    PredictionBody,
    StatusBody,
    UploadReportBody,
)
from app.service import PredictionService
from app.settings import Settings
from app.uploads import unpack

ROUTES: Final = {
    "/api/health": "GET",
    "/api/status": "GET",
    "/api/predict": "POST",
    "/api/upload_retrain_data": "POST",
    "/api/classes": "GET",
}
_ALL_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def build_router(
    service: PredictionService, settings: Settings, collection: CollectionService | None = None
) -> APIRouter:
    """Return the routes under ``/api``.

    Args:
        service: answers.
        settings: limits of requests.
        collection: takes photos; None where uploading is off.
    """
    router = APIRouter(prefix="/api", route_class=_Route, tags=["REST"])

    @router.get("/health", responses={503: {"model": HealthBody}}, response_model=HealthBody)
    async def health(request: Request) -> Response:
        """Tell whether predictions are answered: 200 if so, else 503."""
        body = service.health()
        return _json(body, 200 if body["ready"] else 503)

    @router.get("/status", response_model=StatusBody)
    async def status(request: Request) -> Response:
        """Return the served version and the figures since the start."""
        return _json(service.status())

    @router.post(
        "/predict",
        response_model=PredictionBody | list[NamedPrediction | NamedError],
        responses=PREDICT_ERRORS,
        openapi_extra=PREDICT_REQUEST,
    )
    async def predict(request: Request) -> Response:
        """Name the fruit on one image, or on several; or say that it is none of these.

        Send the image in the multipart field `file`, or as the body itself. Several `file` fields
        are answered by a list in the same order with status 200; there, a file that is refused is
        an entry with its `name` and `error`, and the others are answered.
        """
        request_id = request.state.request_id
        body = await read_body(request, settings)
        if len(body.files) == 1:
            answer = await service.predict_async(
                body.files[0].content,
                top_k=body.options.top_k,
                explain=body.options.explain,
                request_id=request_id,
            )
            return _json(answer.to_dict())
        answers = await service.predict_many_async(
            body.files,
            top_k=body.options.top_k,
            explain=body.options.explain,
            request_id=request_id,
        )
        return _json([answer.to_dict() for answer in answers])

    @router.post(
        "/upload_retrain_data",
        response_model=UploadReportBody,
        responses=UPLOAD_ERRORS,
        openapi_extra=UPLOAD_REQUEST,
    )
    async def upload_retrain_data(request: Request) -> Response:
        """Add photos, or a zip of them, to a class; say what became of each.

        Without `class_name`, each photo of a zip goes to the class that its folder names. With
        `dry_run` nothing is kept. Photos that are test images or already here are not added.
        """
        collecting = _require(collection)
        body = await read_upload(request, settings)
        files = await asyncio.to_thread(unpack, body.files, settings, request.state.request_id)
        report = await asyncio.to_thread(
            collecting.upload,
            files,
            body.class_name,
            keep=not body.dry_run,
            relabel=body.relabel,
        )
        return _json(report.to_dict())

    @router.get("/classes", response_model=list[ClassProgress])
    async def classes(request: Request) -> Response:
        """Return how many photos each class has, and how many a retraining still wants."""
        return _json(await asyncio.to_thread(_require(collection).progress))

    @router.api_route("/{path:path}", methods=_ALL_METHODS, include_in_schema=False)
    async def anything_else(request: Request) -> Response:
        # Gradio is mounted at "/" and would answer these with its own page.
        path = request.url.path
        if path in ROUTES:
            raise MethodNotAllowed(request.method, path, ROUTES[path])
        raise UnknownRoute(path, list(ROUTES))

    return router


def _require(collection: CollectionService | None) -> CollectionService:
    if collection is None:
        raise UploadsOff
    return collection


class _Route(APIRoute):
    """A route that names each request and turns whatever is raised into JSON."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_or_describe(request: Request) -> Response:
            request_id = new_request_id(request.headers.get("x-request-id"))
            request.state.request_id = request_id
            try:
                response = await handle(request)
            except Exception as error:
                status, body, headers = http_error(error, request_id)
                response = _json(body, status, headers)
            response.headers["X-Request-ID"] = request_id
            return response

        return handle_or_describe


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")
