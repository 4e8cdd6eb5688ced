"""The whole page: header, tabs, and how they look."""

from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from app.service import PredictionService
from app.settings import Settings
from app.tabs import predict, status

TITLE = "Fruit classifier"
HEADER = """
<header class="masthead">
  <h1><span aria-hidden="true">🍎</span> Fruit classifier</h1>
  <p>Give it a photo; it tells you which fruit it sees, and how sure it is.</p>
</header>
"""


def build_page(
    service: PredictionService, settings: Settings, examples: Sequence[Path]
) -> gr.Blocks:
    """Return the page, not yet mounted.

    Args:
        service: what the tabs call.
        settings: limits of uploads.
        examples: pictures to try.
    """
    # Uploads are read at once, so files older than an hour are of no use to anyone.
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.HTML(HEADER)
        with gr.Tabs():
            with gr.Tab("Predict", id="predict") as predict_tab:
                predict.build_tab(service, settings, examples)
            with gr.Tab("Status", id="status") as status_tab:
                status.build_tab(service, status_tab, [predict_tab])
    page.queue(default_concurrency_limit=None, max_size=settings.max_pending)
    return page


def theme() -> gr.themes.Base:
    """Return colours and type; the system's own fonts, so that nothing is fetched for them."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    return gr.themes.Soft(
        primary_hue="emerald",
        secondary_hue="emerald",
        neutral_hue="stone",
        radius_size="lg",
        font=fonts,
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )


CSS = """
.gradio-container { max-width: 1120px !important; margin: 0 auto !important; }
.masthead { padding: 18px 4px 6px; }
.masthead h1 { font-size: 1.9rem; font-weight: 700; margin: 0; letter-spacing: -.02em; }
.masthead p { margin: 4px 0 0; font-size: 1.05rem; color: var(--body-text-color-subdued); }
.hint { color: var(--body-text-color-subdued); font-size: .85rem; margin: 0; }
.card { background: var(--block-background-fill); border: 1px solid var(--border-color-primary);
  border-radius: 16px; padding: 20px; margin-bottom: 14px; }
.card h2 { margin: 0; font-size: 1.2rem; } .card h3 { margin: 0 0 10px; font-size: 1.05rem; }
.card h3 small { font-weight: 400; color: var(--body-text-color-subdued); }
.empty { text-align: center; padding: 48px 24px; border-style: dashed; }
.empty-icon { font-size: 2.6rem; } .empty p { color: var(--body-text-color-subdued);
  max-width: 34ch; margin: 8px auto 0; }
.answer { --tone: #047857; --soft: #d1fae5; --ink: #065f46; }
.answer.sure-middle { --tone: #b45309; --soft: #fef3c7; --ink: #78350f; }
.answer.sure-low { --tone: #57534e; --soft: #e7e5e4; --ink: #44403c; border-style: dashed; }
.answer { border-top: 5px solid var(--tone); }
.answer-head { display: flex; gap: 18px; align-items: center; }
.photo { width: 132px; height: 132px; object-fit: cover; border-radius: 12px; margin: 0; flex: none;
  background: #fff; }
.pill { display: inline-block; padding: 3px 11px; border-radius: 99px; font-size: .8rem;
  font-weight: 600; background: var(--soft); color: var(--ink); }
.answer .label { font-size: 2.3rem; line-height: 1.1; font-weight: 750; margin: 6px 0 0;
  overflow-wrap: anywhere; }
.answer.sure-low .label { font-style: italic; font-weight: 500; }
.sure { font-size: 1.15rem; margin: 2px 0 0; color: var(--body-text-color-subdued); }
.bars { list-style: none; padding: 0; margin: 18px 0 0; }
.bars li { display: grid; grid-template-columns: 92px 1fr 62px; gap: 10px; align-items: center;
  padding: 4px 0; font-size: .95rem; }
.bar-label { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bar-value { text-align: right; font-variant-numeric: tabular-nums; }
.track { height: 10px; border-radius: 99px; background: var(--border-color-primary);
  overflow: hidden; display: block; }
.fill { display: block; height: 100%; border-radius: 99px; background: var(--tone, #047857);
  opacity: .45; }
.answer .bars li:first-child { font-weight: 650; } .bars li:first-child .fill { opacity: 1; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 16px; padding-top: 12px;
  border-top: 1px solid var(--border-color-primary); font-size: .85rem;
  color: var(--body-text-color-subdued); }
.facts b { color: var(--body-text-color); font-weight: 600; }
.refusal { border-top: 5px solid #b91c1c; } .refusal .pill { background: #fee2e2; color: #991b1b; }
.refusal h2 { margin: 8px 0 4px; overflow-wrap: anywhere; }
.many-head { display: flex; flex-wrap: wrap; gap: 10px; justify-content: space-between;
  align-items: center; margin-bottom: 8px; }
.bad { color: #b91c1c; } .dark .bad { color: #fca5a5; }
a.download { background: #047857; color: #fff !important; padding: 8px 16px; border-radius: 10px;
  font-weight: 600; text-decoration: none; }
a.download:hover { background: #065f46; }
.rows { list-style: none; padding: 0; margin: 0; max-height: 640px; overflow-y: auto; }
.row { display: grid; grid-template-columns: 52px minmax(0, 1fr) auto 66px; gap: 12px;
  align-items: center; padding: 8px 0; border-top: 1px solid var(--border-color-primary); }
.row img, .no-photo { width: 52px; height: 52px; object-fit: cover; border-radius: 8px; margin: 0;
  background: #fff; }
.no-photo { display: grid; place-items: center; background: #fee2e2; color: #991b1b;
  font-weight: 700; }
.row-name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  color: var(--body-text-color-subdued); }
.row-label { font-weight: 650; } .row.sure-low .row-label { font-style: italic; font-weight: 400; }
.row-value { text-align: right; font-variant-numeric: tabular-nums; }
.row.sure-high .row-value { color: #047857; font-weight: 650; }
.dark .row.sure-high .row-value { color: #6ee7b7; }
.row.sure-middle .row-value { color: #b45309; }
.dark .row.sure-middle .row-value { color: #fcd34d; }
.row-why { grid-column: 2 / -1; margin-top: -10px; color: #b91c1c; font-size: .88rem;
  overflow-wrap: anywhere; }
.dark .row-why { color: #fca5a5; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin-bottom: 14px; }
.tile { background: var(--block-background-fill); border: 1px solid var(--border-color-primary);
  border-radius: 14px; padding: 14px 16px; display: flex; flex-direction: column; }
.tile span { font-size: .85rem; color: var(--body-text-color-subdued); }
.tile b { font-size: 1.5rem; line-height: 1.3; }
.tile small { color: var(--body-text-color-subdued); }
.notice { background: #fef3c7; color: #78350f; border-radius: 12px; padding: 12px 16px; }
.scroll { overflow-x: auto; }
table.figures { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
table.figures th, table.figures td { padding: 6px 10px; text-align: right; border: 0;
  border-bottom: 1px solid var(--border-color-primary); }
table.figures th:first-child { text-align: left; font-weight: 500; }
@media (max-width: 560px) {
  .gradio-container { padding: 8px !important; }
  .masthead h1 { font-size: 1.5rem; } .photo { width: 104px; height: 104px; }
  .answer .label { font-size: 1.8rem; } .card { padding: 16px; }
  .tiles { grid-template-columns: 1fr 1fr; }
  table.figures th, table.figures td { padding: 6px 4px; }
}
"""
