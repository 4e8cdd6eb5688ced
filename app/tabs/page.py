"""The whole page: header, tabs, and how they look."""

from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from app.collection import CollectionService
from app.inspection import InspectionService
from app.learning import LearningService
from app.monitoring import MonitoringService
from app.service import PredictionService
from app.settings import Settings
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
    collection: CollectionService | None,
    learning: LearningService | None,
    monitoring: MonitoringService,
    inspection: InspectionService,
    settings: Settings,
    examples: Sequence[Path],
) -> gr.Blocks:
    """Return the page, not yet mounted.

    Args:
        service: what the tabs call to predict.
        collection: what they call to collect photos; None where that is off.
        learning: what they call to retrain and to change the model; None where that is off.
        monitoring: knows whether all is well.
        inspection: knows the versions.
        settings: limits of uploads.
        examples: pictures to try.
    """
    # Uploads are read at once, so files older than an hour are of no use to anyone.
    page = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 3600))
    with page:
        gr.HTML(HEADER)
        with gr.Tabs():
            with gr.Tab("Predict", id="predict") as predict_tab:
                predict.build_tab(service, collection, settings, examples)
            with gr.Tab("Upload", id="upload") as upload_tab:
                upload.build_tab(collection, learning, settings, upload_tab)
            with gr.Tab("Retrain", id="retrain") as retrain_tab:
                pass
            with gr.Tab("Status", id="status") as status_tab:
                others = [predict_tab, upload_tab, retrain_tab]
                status.build_tab(service, monitoring, inspection, status_tab, others)
            with retrain_tab:
                retrain.build_tab(learning, retrain_tab, [predict_tab, upload_tab, status_tab])
    page.queue(default_concurrency_limit=None, max_size=settings.max_pending)
    return page
