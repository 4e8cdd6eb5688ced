"""The whole page: header, tabs, and how they look."""

from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from app.access import Role
from app.collection import CollectionService
from app.inspection import InspectionService
from app.learning import LearningService
from app.mirror import Mirror
from app.monitoring import MonitoringService
from app.service import PredictionService
from app.settings import Settings
from app.sign_in import FORM, HUB_LINK, SIGN_OUT_FORM
from app.tabs import predict, retrain, status, upload
from app.tabs.looks import APPLE

TITLE = "Fruit classifier"
HEADER = f"""
<header class="fc-masthead">
  <h1>{APPLE} Fruit classifier</h1>
  <p>Give it a photo; it tells you which fruit it sees, and how sure it is.</p>
</header>
"""


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
    # Uploads are read at once, so files older than an hour are of no use to anyone.
    page = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 3600))
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
        form = (HUB_LINK if settings.has_hub_sign_in else "") + (
            FORM if settings.admin_token else ""
        )
    else:
        words = (
            f"{what} is the operator's, and off: other machines can reach this server, and it has "
            "no token to tell the operator by. Set <code>FRUIT_ADMIN_TOKEN</code> and start it "
            "again, or run it on your own machine (address 127.0.0.1)."
        )
        form = ""
    return f'<section class="fc-card"><h2>For the operator</h2><p>{words}</p>{form}</section>'
