"""The REST routes: a request in, one call of the service, JSON out."""

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.routing import compile_path

from app.access import Access
from app.bodies import Intake, read_body, read_json, read_upload
from app.collection import CollectionService
from app.errors import (
    BadRequest,
    MethodNotAllowed,
    UnknownRoute,
)
from app.exposition import CONTENT_TYPE, Exposition
from app.handling import Handler, path_of, route_class, to_json
from app.learning import LearningService
from app.monitoring import MonitoringService
from app.scheduler import Schedule
from app.schemas import (
    ACTIVATE_REQUEST,
    ALERT_ID,
    JOB_ID,
    LEARNING_ERRORS,
    OPERATOR_ERRORS,
    PREDICT_ERRORS,
    PREDICT_REQUEST,
    UPLOAD_ERRORS,
    UPLOAD_REQUEST,
    VERSION,
    ActivateBody,
    AlertBody,
    ClassProgress,
    HealthBody,
    JobBody,
    JobDetails,
    JobStarted,
    LiveBody,
    ModelBody,
    NamedError,
    NamedPrediction,
    PredictionBody,
    RetrainBody,
    ScheduleBody,
    StatusBody,
    UploadReportBody,
    json_body,
)
from app.service import PredictionService
from app.settings import Settings
from app.uploads import unpack

PREDICT_PATH: Final = "/api/predict"
_UPLOADS_AT_ONCE: Final = 2
ROUTES: Final = {
    "/api/health": "GET",
    "/api/health/live": "GET",
    "/api/status": "GET",
    "/api/alerts": "GET",
    "/api/alerts/{alert_id}/acknowledge": "POST",
    PREDICT_PATH: "POST",
    "/api/upload_retrain_data": "POST",
    "/api/classes": "GET",
    "/api/retrain": "POST",
    "/api/fetch_base_set": "POST",
    "/api/jobs": "GET",
    "/api/jobs/{job_id}": "GET",
    "/api/jobs/{job_id}/cancel": "POST",
    "/api/models": "GET",
    "/api/models/roll_back": "POST",
    "/api/models/{version}": "DELETE",
    "/api/models/{version}/activate": "POST",
    "/api/schedule": "GET, PUT",
}
_ALL_METHODS: Final = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY",
]  # fmt: skip


def build_router(
    service: PredictionService,
    settings: Settings,
    access: Access,
    collection: CollectionService | None = None,
    learning: LearningService | None = None,
    monitoring: MonitoringService | None = None,
    intake: Intake | None = None,
) -> APIRouter:
    """Return the routes under ``/api``.

    Args:
        service: answers.
        settings: limits of requests.
        access: tells who may send what.
        collection: takes photos; None for no such routes.
        learning: retrains and changes the model; None for no such routes.
        monitoring: knows whether all is well; None for the served version and its counts alone.
        intake: counts the bytes of bodies; None for one of its own.
    """
    intake = intake or Intake.of(settings)
    router = APIRouter(prefix="/api", route_class=route_class(service.metrics), tags=["REST"])
    operators = APIRouter(
        route_class=route_class(service.metrics, access.require), tags=["Operator"]
    )

    @router.get("/health", responses={503: {"model": HealthBody}}, response_model=HealthBody)
    async def health(request: Request) -> Response:
        """Tell whether predictions are answered: 200 if a model is loaded and answers, else 503."""
        body = await asyncio.to_thread(service.check_health)
        return to_json(body, 200 if body["ready"] else 503)

    @router.get("/health/live", response_model=LiveBody)
    async def live(request: Request) -> Response:
        """Tell that the server runs, whether or not it has a model."""
        return to_json({"live": True})

    @router.get("/status", response_model=StatusBody)
    async def status(request: Request) -> Response:
        """Return the served version and all figures of now."""
        return to_json(await asyncio.to_thread((monitoring or service).status))

    router.post(
        "/predict",
        response_model=PredictionBody | list[NamedPrediction | NamedError],
        responses=PREDICT_ERRORS,
        openapi_extra=PREDICT_REQUEST,
    )(predict_handler(service, settings, intake))

    if monitoring:
        _add_alert_routes(router, operators, monitoring)
    if collection:
        _add_collection_routes(operators, collection, settings, intake)
    if learning:
        _add_learning_routes(operators, learning)
    router.include_router(operators)

    @router.api_route("/{path:path}", methods=_ALL_METHODS, include_in_schema=False)
    async def anything_else(request: Request) -> Response:
        # Gradio is mounted at "/" and would answer these with its own page.
        path = path_of(request.scope)[:200]
        for template, methods in ROUTES.items():
            if compile_path(template)[0].match(path):
                raise MethodNotAllowed(request.method, path, methods)
        raise UnknownRoute(path, list(ROUTES))

    return router


def predict_handler(
    service: PredictionService, settings: Settings, intake: Intake | None = None
) -> Handler:
    """Return what answers ``POST /api/predict``.

    Args:
        service: answers.
        settings: limits of requests.
        intake: counts the bytes of bodies; None for one of its own.
    """
    intake = intake or Intake.of(settings)

    async def predict(request: Request) -> Response:
        """Name the fruit on one image, or on several; or say that it is none of these.

        Send the image in the multipart field `file`, or as the body itself. Several `file` fields
        are answered by a list in the same order with status 200; there, a file that is refused is
        an entry with its `name` and `error`, and the others are answered.
        """
        request_id = request.state.request_id
        service.require_room()
        with intake.request() as take:
            body = await read_body(request, settings, take)
            if len(body.files) == 1:
                answer = await service.predict_async(
                    body.files[0].content,
                    top_k=body.options.top_k,
                    explain=body.options.explain,
                    request_id=request_id,
                )
                return to_json(answer.to_dict())
            answers = await service.predict_many_async(
                body.files,
                top_k=body.options.top_k,
                explain=body.options.explain,
                request_id=request_id,
            )
            return to_json([answer.to_dict() for answer in answers])

    return predict


def build_metrics_route(service: PredictionService, monitoring: MonitoringService) -> APIRouter:
    """Return ``GET /metrics``, which Prometheus reads."""
    router = APIRouter()
    exposition = Exposition(service, monitoring)

    @router.get("/metrics", response_class=PlainTextResponse, tags=["Monitoring"])
    async def metrics(request: Request) -> Response:
        """Return every figure in Prometheus's text format."""
        return Response(await asyncio.to_thread(exposition.text), media_type=CONTENT_TYPE)

    @router.api_route("/metrics", methods=_ALL_METHODS, include_in_schema=False)
    async def other_methods(request: Request) -> Response:
        return PlainTextResponse("/metrics takes GET.\n", 405, {"Allow": "GET"})

    return router


def _add_alert_routes(
    router: APIRouter, operators: APIRouter, monitoring: MonitoringService
) -> None:
    @router.get("/alerts", response_model=list[AlertBody])
    async def alerts(request: Request) -> Response:
        """Return the alerts, the newest first, also those that were acknowledged."""
        found = await asyncio.to_thread(monitoring.alerts)
        return to_json([alert.to_dict() for alert in found])

    @operators.post(
        "/alerts/{alert_id}/acknowledge", response_model=AlertBody, responses=LEARNING_ERRORS,
        openapi_extra=ALERT_ID,
    )  # fmt: skip
    async def acknowledge(request: Request) -> Response:
        """Say that an alert was seen."""
        number = _number(request.path_params["alert_id"], "alert", "GET /api/alerts")
        return to_json((await asyncio.to_thread(monitoring.acknowledge, number)).to_dict())


def _add_collection_routes(
    router: APIRouter, collection: CollectionService, settings: Settings, intake: Intake
) -> None:
    """Add the routes that take photos and tell how many there are."""
    # Each holds a thread, and waits there for others; health and status need some of them too.
    turns = asyncio.Semaphore(_UPLOADS_AT_ONCE)

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
        with intake.request() as take:
            body = await read_upload(request, settings, take)
            async with turns:
                files = await asyncio.to_thread(
                    unpack, body.files, settings, request.state.request_id
                )
                report = await asyncio.to_thread(
                    collection.upload,
                    files,
                    body.class_name,
                    keep=not body.dry_run,
                    relabel=body.relabel,
                )
            return to_json(report.to_dict())

    @router.get("/classes", response_model=list[ClassProgress], responses=OPERATOR_ERRORS)
    async def classes(request: Request) -> Response:
        """Return how many photos each class has, and how many a retraining still wants."""
        return to_json(await asyncio.to_thread(collection.progress))


def _add_learning_routes(router: APIRouter, learning: LearningService) -> None:
    """Add the routes that retrain, follow jobs and change the served version."""

    @router.post(
        "/retrain", status_code=202, response_model=JobStarted, responses=LEARNING_ERRORS,
        openapi_extra=json_body(RetrainBody),
    )  # fmt: skip
    async def retrain(request: Request) -> Response:
        """Queue a retraining; all fields may be left out. One that waits already is returned."""
        body = await read_json(request, RetrainBody)
        job = await asyncio.to_thread(learning.retrain, body.mode, "over the API")
        return to_json({"job_id": job.id, "state": str(job.state)}, 202)

    @router.post(
        "/fetch_base_set", status_code=202, response_model=JobStarted, responses=LEARNING_ERRORS
    )
    async def fetch_base_set(request: Request) -> Response:
        """Queue the download and import of the public photo sets, which a thorough run rehearses.

        What is there already is neither downloaded nor added again. One that waits or runs already
        is returned.
        """
        job = await asyncio.to_thread(learning.fetch_base_set, "over the API")
        return to_json({"job_id": job.id, "state": str(job.state)}, 202)

    @router.get("/jobs", response_model=list[JobBody], responses=LEARNING_ERRORS)
    async def jobs(request: Request) -> Response:
        """Return the retrainings, the newest first."""
        return to_json(await asyncio.to_thread(learning.jobs))

    @router.get(
        "/jobs/{job_id}", response_model=JobDetails, responses=LEARNING_ERRORS, openapi_extra=JOB_ID
    )
    async def job(request: Request) -> Response:
        """Return one retraining with its progress and the comparison that decided it."""
        return to_json(await asyncio.to_thread(learning.job, _job_id(request)))

    @router.post(
        "/jobs/{job_id}/cancel", response_model=JobBody, responses=LEARNING_ERRORS,
        openapi_extra=JOB_ID,
    )  # fmt: skip
    async def cancel(request: Request) -> Response:
        """End a retraining that waits or runs."""
        return to_json(await asyncio.to_thread(learning.cancel, _job_id(request)))

    @router.get("/models", response_model=list[ModelBody], responses=LEARNING_ERRORS)
    async def models(request: Request) -> Response:
        """Return the published versions, the newest first."""
        return to_json(await asyncio.to_thread(learning.models))

    @router.post("/models/roll_back", response_model=ModelBody, responses=LEARNING_ERRORS)
    async def roll_back(request: Request) -> Response:
        """Serve the version that was active before the present one."""
        return to_json(await asyncio.to_thread(learning.roll_back))

    @router.post(
        "/models/{version}/activate", response_model=ModelBody, responses=LEARNING_ERRORS,
        openapi_extra=ACTIVATE_REQUEST,
    )  # fmt: skip
    async def activate(request: Request) -> Response:
        """Serve a version from the next request on; no request fails meanwhile."""
        body = await read_json(request, ActivateBody)
        version = request.path_params["version"]
        return to_json(
            await asyncio.to_thread(
                learning.activate, version, override=body.override, reason=body.reason
            )
        )

    @router.delete(
        "/models/{version}", response_model=ModelBody, responses=LEARNING_ERRORS,
        openapi_extra={"parameters": [VERSION]},
    )  # fmt: skip
    async def delete(request: Request) -> Response:
        """Delete a version that is not live, for good, and return what it was."""
        return to_json(await asyncio.to_thread(learning.delete, request.path_params["version"]))

    @router.get("/schedule", response_model=ScheduleBody, responses=LEARNING_ERRORS)
    async def schedule(request: Request) -> Response:
        """Return when a retraining starts by itself."""
        return to_json(await asyncio.to_thread(learning.describe_schedule))

    @router.put(
        "/schedule", response_model=ScheduleBody, responses=LEARNING_ERRORS,
        openapi_extra=json_body(Schedule),
    )  # fmt: skip
    async def set_schedule(request: Request) -> Response:
        """Change when a retraining starts by itself; what is left out is off."""
        chosen = await read_json(request, Schedule)
        await asyncio.to_thread(learning.set_schedule, chosen)
        return to_json(await asyncio.to_thread(learning.describe_schedule))


def _job_id(request: Request) -> int:
    return _number(request.path_params["job_id"], "job", "POST /api/retrain")


def _number(given: str, what: str, route: str) -> int:
    if not given.isascii() or not given.isdecimal() or len(given) > 12:
        raise BadRequest(f"{given!r:.40} is no {what} number; use that of {route}.")
    return int(given)
