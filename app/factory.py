"""Builds every object of the running app once, and passes it on."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from app.access import Access, Role
from app.bodies import Intake
from app.collection import CollectionService
from app.direct_calls import Call, DirectCalls
from app.examples import write_examples
from app.gradio_guard import GradioGuard
from app.handling import DirectRoute, answer_unmatched, handled
from app.headers import SecurityHeaders, allow_other_sites, open_headers
from app.inspection import InspectionService
from app.late_page import LatePage
from app.learning import LearningService
from app.leftovers import discard_uploads
from app.metrics import Metrics
from app.mirror import Mirror
from app.monitoring import MonitoringService
from app.pages import Pages
from app.predictor import OnnxPredictor
from app.rates import ClientLimit, RateLimits
from app.rest import PREDICT_PATH, build_metrics_route, build_router, predict_handler
from app.service import PredictionService
from app.settings import Settings
from app.sign_in import build_sign_in
from app.uploads import read_image
from app.workers import WorkerPool
from data.reviews import ReviewQueue
from data.state import reviews_dir, store_dir
from data.store import DatasetStore
from models.manifest import REHEARSAL_NAME
from models.registry import ModelRegistry, open_registry
from models.rehearsal import judging_digests

_DISCARDED: Final = "discarded"
# Within the state folder; nothing of it is handed out.
_PRIVATE: Final = (
    "models", "store", "reviews", "jobs", "snapshots", "monitoring", "mirror", _DISCARDED,
)  # fmt: skip
_QUEUE_LOOK_S: Final = 0.015
_PROGRESS_LOOK_S: Final = 0.1


def create_service(settings: Settings, registry: ModelRegistry | None = None) -> PredictionService:
    """Return the prediction service over the state directory, its version loaded."""
    service = PredictionService(
        registry or open_registry(settings.state_dir),
        limits=settings.image_limits,
        pool=WorkerPool(settings.workers, settings.max_pending, settings.max_wait_s),
        metrics=Metrics(),
        load_predictor=partial(OnnxPredictor.load, threads=settings.inference_threads),
    )
    service.load()
    return service


def create_collection(
    settings: Settings,
    service: PredictionService,
    registry: ModelRegistry,
    store: DatasetStore,
    learning: LearningService,
) -> CollectionService:
    """Return the service that collects photos in the state directory."""
    reviews = ReviewQueue(reviews_dir(settings.state_dir), settings.image_limits)

    def shipped_tests() -> frozenset[str]:
        if not service.health()["ready"]:
            return frozenset()
        manifest = service.served.manifest
        path = registry.get(manifest.version).folder / REHEARSAL_NAME
        return judging_digests(path, tuple(manifest.classes)) if path.exists() else frozenset()

    return CollectionService(
        store,
        service,
        reviews,
        shipped_tests,
        is_read=learning.is_busy,
        max_classes=settings.max_classes,
        max_bytes=settings.max_store_bytes,
    )


def create_learning(
    settings: Settings, service: PredictionService, registry: ModelRegistry, store: DatasetStore
) -> LearningService:
    """Return the service that retrains and changes the served version."""
    return LearningService(
        service,
        registry,
        store,
        settings.state_dir,
        threads=settings.retrain_threads,
        mirror=settings.base_set_mirror,
    )


def uploads_dir(settings: Settings) -> Path:
    """Return the folder that Gradio keeps uploads in."""
    return settings.state_dir / "gradio"


def create_app(settings: Settings) -> FastAPI:
    """Return the whole app: REST under ``/api``, its documentation, and the page at ``/``.

    Where no model version can be loaded the app starts all the same, and says so.
    """
    access = Access(settings)
    mirror = Mirror(settings)
    mirror.begin()  # what a lost disk held is back before anything opens it
    registry = open_registry(settings.state_dir)
    service = create_service(settings, registry)
    store = DatasetStore(store_dir(settings.state_dir), settings.image_limits)
    learning = create_learning(settings, service, registry, store)
    collection = create_collection(settings, service, registry, store, learning)
    monitoring = MonitoringService(
        service,
        registry,
        settings.state_dir,
        store,
        learning,
        webhook=settings.alert_webhook,
        mirror=mirror,
    )

    discard_uploads(uploads_dir(settings), settings.state_dir / _DISCARDED)
    building = threading.Lock()  # Gradio puts components into the page that was begun last

    def page(role: Role) -> LatePage:
        # Others than the operator are not shown the photos behind the figures.
        inspection = InspectionService(registry, store if role.is_operator else None)

        def build() -> FastAPI:
            with building:
                return _build_page(
                    service, collection, learning, monitoring, inspection, mirror, settings, role
                )

        return LatePage(build)

    intake = Intake.of(settings)
    built = {role.is_operator: page(role) for role in access.roles}
    pages = Pages(access, operators=built.get(True), everybodys=built.get(False))

    async def answer_call(call: Call, request_id: str) -> dict[str, Any]:
        file = await asyncio.to_thread(read_image, call.path, settings)
        answer = await service.predict_async(
            file.content, top_k=call.top_k, explain=call.explain, request_id=request_id
        )
        return answer.to_dict()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        learning.start()
        monitoring.start()
        async with pages.running():
            yield
        await asyncio.to_thread(learning.close)
        service.close()
        # Photos go before alerts: whoever ends the server may not wait for long.
        await asyncio.to_thread(mirror.close)
        await asyncio.to_thread(monitoring.close)
        collection.close()

    # FastAPI's own /docs fetches its script from another host; this one brings it along.
    app = FastAPIOffline(
        title="Fruit classifier",
        version="1",
        description="Names the fruit on a photo.",
        redoc_url=None,
        lifespan=lifespan,
    )
    for status in (404, 405):
        app.add_exception_handler(status, answer_unmatched)
    app.state.service = service
    app.state.end_streams = pages.end_streams
    app.include_router(
        build_router(service, settings, access, collection, learning, monitoring, intake)
    )
    app.include_router(build_metrics_route(service, monitoring))
    app.include_router(build_sign_in(access, service.metrics, settings))
    if settings.has_hub_sign_in:
        from app.hub_sign_in import add_hub_sign_in  # most of a second, needed on Spaces alone

        add_hub_sign_in(app, access, settings, service.metrics)
    guard = GradioGuard(pages, settings.state_dir, settings.min_free_bytes, intake)
    app.mount("/", DirectCalls(guard, uploads_dir(settings), answer_call))
    # The last one sees a request first.
    limit = ClientLimit(settings.max_requests_per_minute, access.is_operator, service.metrics)
    app.add_middleware(RateLimits, limit=limit)
    allow_other_sites(app)
    app.add_middleware(SecurityHeaders, on_space=settings.on_space)
    app.middleware_stack = DirectRoute(
        app.build_middleware_stack(),
        method="POST",
        path=PREDICT_PATH,
        handle=handled(
            PREDICT_PATH, predict_handler(service, settings, intake), service.metrics, limit.require
        ),
        headers=open_headers(settings.on_space),
    )
    return app


def _build_page(
    service: PredictionService,
    collection: CollectionService,
    learning: LearningService,
    monitoring: MonitoringService,
    inspection: InspectionService,
    mirror: Mirror,
    settings: Settings,
    role: Role,
) -> FastAPI:
    """Return an app with nothing but one page."""
    # Gradio keeps uploads where this says, and reads it when it makes components.
    uploads = uploads_dir(settings)
    uploads.mkdir(parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)

    # Seconds: only now, beside the routes, and never on the command line.
    import gradio as gr
    from gradio import utils

    from app.cleaning import clean_up_well
    from app.sessions import use_small_sessions
    from app.tabs.looks import CSS, theme
    from app.tabs.page import build_page
    from app.tabs.predict import PAGE_JS
    from app.tools import build_tools, mount_tools

    examples = write_examples(settings.state_dir / "examples")
    page = build_page(
        service, collection, learning, monitoring, inspection, mirror, settings, examples, role
    )
    page.state_session_capacity = settings.max_sessions
    tools = build_tools(service, monitoring, settings, uploads)
    app = FastAPI(openapi_url=None, lifespan=tools.lifespan)
    allow_other_sites(app)  # Gradio would allow them with credentials otherwise
    mount_tools(app, tools, settings.root_path)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        root_path=settings.root_path,
        server_name=settings.host,
        server_port=settings.port,
        allowed_paths=[],
        blocked_paths=[str(Path(settings.state_dir) / name) for name in _PRIVATE],
        show_error=True,
        max_file_size=settings.max_request_bytes,
        enable_monitoring=False,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,  # app.tools has one; this would offer every endpoint of the page
        theme=theme(),
        css=CSS,
        js=PAGE_JS,
    )
    # Only `launch` sets this. While it is False, Gradio takes any path that a client names as its
    # upload for one, and hands the server's own files to the handlers.
    page.has_launched = True
    mounted = app.routes[-1]
    gradio_app = mounted.app  # type: ignore[attr-defined]  # a Mount has one
    use_small_sessions(gradio_app, page)
    clean_up_well()
    # At each event Gradio would import matplotlib where there is one, choose how it draws, and take
    # that back; no handler here draws with it.
    utils.MatplotlibBackendMananger = nullcontext  # type: ignore[assignment,misc]
    app.state.stop_event = gradio_app.stop_event
    # Gradio looks for queued calls every millisecond and for progress every ten, for which an idle
    # server took 7 % of a core.
    page._queue.sleep_when_free = _QUEUE_LOOK_S
    page._queue.progress_update_sleep_when_free = _PROGRESS_LOOK_S
    return app
