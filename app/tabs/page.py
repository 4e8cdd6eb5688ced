"""The whole page: header, tabs, and how they look."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_type_hints

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.exceptions import ComponentProcessingError, InvalidPathError
from pydantic import ValidationError

from app.access import Role
from app.collection import CollectionService
from app.errors import BadRequest, gradio_error
from app.inspection import InspectionService
from app.learning import LearningService
from app.mirror import Mirror
from app.monitoring import MonitoringService
from app.pages import OtherSignIn
from app.results import new_request_id
from app.service import PredictionService
from app.settings import Settings
from app.sign_in import SIGN_OUT_FORM, sign_in_forms
from app.tabs import predict, retrain, status, upload
from app.tabs.looks import APPLE

TITLE = "Fruit classifier"
_HINT: Final = "GET /gradio_api/info says what each call takes."
# A page names its functions by number alone, and may be open when another one is served to it: no
# two pages share a number.
_NUMBERS_EACH: Final = 10_000
_FIRST_NUMBER: Final = {role: n * _NUMBERS_EACH for n, role in enumerate(Role)}
# What Gradio's own code raises of an argument of another kind than its component's.
_MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, OSError)
HEADER = f"""
<header class="fc-masthead">
  <h1>{APPLE} Fruit classifier</h1>
  <p>Give it a photo; it tells you which fruit it sees, and how sure it is.</p>
</header>
"""


class Functions(dict[int, BlockFunction]):
    """The functions of a page, by number."""

    def __missing__(self, number: int) -> BlockFunction:
        """Refuse a number that is not one of this page's; raises OtherSignIn."""
        raise OtherSignIn


class Page(gr.Blocks):
    """A page whose errors are told as all others are: in a sentence, and never with a path.

    Args:
        role: whom it is for; its functions have numbers that no other page's have.
        options: as of ``gr.Blocks``.
    """

    def __init__(self, role: Role, **options: Any) -> None:
        super().__init__(**options)
        self.default_config.fns = Functions()
        self.default_config.fn_id = _FIRST_NUMBER[role]

    async def preprocess_data(self, *args: Any, **options: Any) -> Any:
        """Return the arguments of a handler; what a component refuses is the caller's mistake."""
        try:
            values = await super().preprocess_data(*args, **options)
        except gr.Error as error:
            raise gradio_error(BadRequest(error.message), new_request_id()) from error
        except InvalidPathError as error:
            problem = BadRequest("A file was named that was not uploaded here. Upload it first.")
            raise gradio_error(problem, new_request_id()) from error
        except (ComponentProcessingError, ValidationError, *_MALFORMED) as error:
            problem = BadRequest(f"An argument is not what the call takes. {_HINT}")
            raise gradio_error(problem, new_request_id()) from error

        block_fn: BlockFunction = args[0]
        for component, value in zip(block_fn.inputs, values, strict=False):
            # One that takes other values than its choices takes them of any kind.
            if isinstance(component, gr.Dropdown) and not isinstance(value, str | None):
                problem = BadRequest(f"{component.label or 'A choice'} must be a text. {_HINT}")
                raise gradio_error(problem, new_request_id())
        return values

    async def process_api(self, *args: Any, **options: Any) -> Any:
        """Return what a handler answers; anything unknown is logged, and told in few words."""
        try:
            _check_event(options.get("block_fn"), options.get("event_data"))
            return await super().process_api(*args, **options)
        except gr.Error:
            raise
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, p['loc'])):.60}: {p['msg']:.200}" for p in error.errors()[:3]
            )
            problem = BadRequest(f"The call cannot be answered ({problems}). {_HINT}")
            raise gradio_error(problem, new_request_id()) from error
        except Exception as error:
            raise gradio_error(error, new_request_id()) from error


def _check_event(block_fn: BlockFunction | None, event: gr.EventData | None) -> None:
    """Raise BadRequest where a handler wants to know what was chosen, and the call does not say."""
    hints = get_type_hints(block_fn.fn) if block_fn else {}
    wants = any(
        isinstance(hint, type) and issubclass(hint, gr.SelectData) for hint in hints.values()
    )
    told = event._data if event else None
    if wants and not (isinstance(told, dict) and {"index", "value"} <= told.keys()):
        raise BadRequest("The call does not say what was chosen: event_data needs index and value.")


def build_page(
    service: PredictionService,
    collection: CollectionService,
    learning: LearningService,
    monitoring: MonitoringService,
    inspection: InspectionService,
    mirror: Mirror,
    settings: Settings,
    examples: Sequence[Path],
    role: Role,
) -> gr.Blocks:
    """Return the page, not yet mounted.

    Args:
        service: what the tabs call to predict.
        collection: what they call to collect photos.
        learning: what they call to retrain and to change the model.
        monitoring: knows whether all is well.
        inspection: knows the versions.
        mirror: knows what outlives this disk.
        settings: limits of uploads.
        examples: pictures to try.
        role: whom the page is for.
    """
    kept_s = settings.upload_kept_s
    # Looked through often enough that little is kept for much longer.
    delete_cache = (max(1, kept_s // 6), kept_s)
    page = Page(role, title=TITLE, analytics_enabled=False, delete_cache=delete_cache)
    with page:
        gr.HTML(HEADER + (SIGN_OUT_FORM if role == Role.SIGNED_IN else ""))
        with gr.Tabs():
            with gr.Tab("Predict", id="predict") as predict_tab:
                # What a visitor says is of use only where somebody can look at it.
                asks = collection if role != Role.STRANGER else None
                predict.build_tab(service, asks, settings, examples)
            with gr.Tab("Upload", id="upload") as upload_tab:
                if role.is_operator:
                    upload.build_tab(collection, learning, mirror, settings, upload_tab)
                else:
                    gr.HTML(closed_html("Uploading", role, settings))
            with gr.Tab("Retrain", id="retrain") as retrain_tab:
                pass
            with gr.Tab("Status", id="status") as status_tab:
                others = [predict_tab, upload_tab, retrain_tab]
                status.build_tab(service, monitoring, inspection, status_tab, others)
            with retrain_tab:
                if role.is_operator:
                    retrain.build_tab(learning, retrain_tab, [predict_tab, upload_tab, status_tab])
                else:
                    gr.HTML(closed_html("Retraining and changing the model", role, settings))
    page.queue(default_concurrency_limit=None, max_size=settings.max_pending)
    # Gradio would keep a record of the last 10,000 events and, after each, put all of them into a
    # data frame for a dashboard that is off here.
    page._queue.ANALYTICS_MAX_EVENTS = 0
    return page


def closed_html(what: str, role: Role, settings: Settings) -> str:
    """Return what stands where only the operator may do something.

    Args:
        what: they may do, as the start of a sentence.
        role: whom the page is for.
        settings: how the operator can sign in.
    """
    if role == Role.VISITOR:
        words = f"{what} is the operator's."
    else:
        words = (
            f"{what} is the operator's, and off: other machines can reach this server, and it has "
            "no token to tell the operator by. Set <code>FRUIT_ADMIN_TOKEN</code> and start it "
            "again, or run it on your own machine (address 127.0.0.1)."
        )
    return (
        f'<section class="fc-card"><h2>For the operator</h2><p>{words}</p>'
        f"{sign_in_forms(settings)}</section>"
    )
