"""How the page looks: colours, type, and the style sheet of our own HTML.

Our class names begin with ``fc-``, because Gradio has a ``row`` and a ``label`` of its own.
"""

from typing import Final

import gradio as gr

# Drawn, because an emoji shows as an empty box where no font has it.
APPLE: Final = """
<svg class="fc-apple" viewBox="0 0 24 24" aria-hidden="true">
  <path fill="#dc2626" d="M12 7c-2-1.6-4.6-1.7-6.4 0C3.4 9 3.2 13 5 17c1.4 3 3.4 4.7 5.2 4.2.7-.2
    1.1-.4 1.8-.4s1.1.2 1.8.4c1.8.5 3.8-1.2 5.2-4.2 1.8-4 1.6-8-.6-10-1.8-1.7-4.4-1.6-6.4 0z"/>
  <path fill="none" stroke="#78350f" stroke-width="1.6" stroke-linecap="round"
    d="M12 7c0-2 .5-3.5 1.5-4.5"/>
  <path fill="#16a34a" d="M13.6 4.6c1-2 3-2.8 5.4-2.6-.4 2.4-2.4 3.6-5.4 2.6z"/>
</svg>
"""


def theme() -> gr.themes.Base:
    """Return colours and type; the system's own fonts, so that nothing is fetched for them."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    soft = gr.themes.Soft(
        primary_hue="emerald",
        secondary_hue="emerald",
        neutral_hue="stone",
        radius_size="lg",
        font=fonts,
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )
    # Soft's own grey and green are below the contrast of 4.5 to 1 that WCAG 2.2 asks for (1.4.3).
    return soft.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*primary_800",
        block_title_text_color="*primary_800",
        block_label_background_fill_dark="*primary_700",
        block_title_background_fill_dark="*primary_700",
        link_text_color="*primary_700",
        link_text_color_hover="*primary_800",
        link_text_color_visited="*primary_700",
        link_text_color_active="*primary_800",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
        checkbox_label_background_fill_selected="*primary_700",
        checkbox_label_background_fill_selected_dark="*primary_700",
        # Nor does it draw the edges of fields, of which 1.4.11 asks 3 to 1.
        input_border_width="1px",
        input_border_color="*neutral_500",
        input_border_color_dark="*neutral_500",
        checkbox_border_width="1px",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
        button_border_width="1px",
        button_secondary_border_color="*neutral_400",
        button_secondary_border_color_dark="*neutral_500",
        button_cancel_border_color="#b91c1c",
        button_cancel_border_color_dark="#fca5a5",
        button_cancel_text_color="#b91c1c",
        button_cancel_text_color_dark="#fca5a5",
        button_cancel_background_fill_dark="*neutral_800",
        button_cancel_background_fill_hover_dark="*neutral_900",
    )


CSS: Final = """
.gradio-container { width: 100%; max-width: 1120px !important; margin: 0 auto !important; }
.fc-apple { height: 1em; width: 1em; vertical-align: -.1em; display: inline-block; }
.fc-masthead { padding: 18px 4px 6px; }
.fc-masthead h1 { font-size: 1.9rem; font-weight: 700; margin: 0; letter-spacing: -.02em; }
.fc-masthead p { margin: 4px 0 0; font-size: 1.05rem; color: var(--body-text-color-subdued); }
.fc-sign-in { display: flex; gap: 10px; align-items: end; flex-wrap: wrap; margin-top: 14px; }
.fc-sign-in label { display: block; font-size: .9rem; flex: 1 1 220px; max-width: 360px; }
.fc-sign-in input { display: block; width: 100%; margin-top: 4px; padding: 9px 12px; border: 1px
  solid var(--neutral-400); border-radius: 10px; background: var(--input-background-fill);
  color: var(--body-text-color); }
.fc-sign-in button, .fc-sign-out button { padding: 9px 18px; border-radius: 10px; font-weight: 600;
  cursor: pointer; background: var(--button-primary-background-fill); color:
  var(--button-primary-text-color); }
.fc-sign-out { display: flex; gap: 10px; align-items: center; justify-content: flex-end; font-size:
  .85rem; color: var(--body-text-color-subdued); padding: 0 4px 6px; }
.fc-sign-out button { padding: 4px 12px; font-size: .85rem; }
.fc-hint { color: var(--body-text-color-subdued); font-size: .85rem; margin: 0; }
.fc-card { background: var(--block-background-fill); border: 1px solid
  var(--border-color-primary); border-radius: 16px; padding: 20px; margin-bottom: 14px; }
.fc-card h2 { margin: 0; font-size: 1.2rem; }
.fc-card h3 { margin: 0 0 10px; font-size: 1.05rem; }
.fc-card h3 small { font-weight: 400; color: var(--body-text-color-subdued); }
.fc-empty { text-align: center; padding: 48px 24px; border-style: dashed; }
.fc-empty-icon { font-size: 2.6rem; }
.fc-empty p { color: var(--body-text-color-subdued); max-width: 34ch; margin: 8px auto 0; }
.fc-answer { --tone: #047857; --soft: #d1fae5; --ink: #065f46; }
.fc-answer.fc-sure-middle { --tone: #b45309; --soft: #fef3c7; --ink: #78350f; }
.fc-answer.fc-sure-low { --tone: #57534e; --soft: #e7e5e4; --ink: #44403c; border-style: dashed; }
.fc-answer.fc-none { --tone: #475569; --soft: #e2e8f0; --ink: #334155; border-style: dashed; }
.fc-answer { border-top: 5px solid var(--tone); }
.fc-why { margin-top: 14px; }
.fc-why summary { cursor: pointer; font-weight: 600; width: fit-content; padding: 4px 0; }
.fc-why img { width: 100%; max-width: 420px; border-radius: 12px; margin: 8px 0 6px; display:
  block; }
.fc-answer-head { display: flex; gap: 18px; align-items: center; }
.fc-photo { width: 132px; height: 132px; object-fit: cover; border-radius: 12px; margin: 0; flex:
  none; background: #fff; }
.fc-pill { display: inline-block; padding: 3px 11px; border-radius: 99px; font-size: .8rem;
  font-weight: 600; background: var(--soft); color: var(--ink); }
.fc-answer .fc-label { font-size: 2.3rem; line-height: 1.1; font-weight: 750; margin: 6px 0 0;
  overflow-wrap: anywhere; }
.fc-answer.fc-sure-low .fc-label { font-style: italic; font-weight: 500; }
.fc-sure { font-size: 1.15rem; margin: 2px 0 0; color: var(--body-text-color-subdued); }
.fc-bars { list-style: none; padding: 0; margin: 18px 0 0; }
.fc-bars li { display: grid; grid-template-columns: 108px 1fr 62px; gap: 10px; align-items: center;
  padding: 4px 0; font-size: .95rem; }
.fc-bar-label { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.fc-bar-value { text-align: right; font-variant-numeric: tabular-nums; }
.fc-track { height: 10px; border-radius: 99px; background: var(--border-color-primary); overflow:
  hidden; display: block; }
.fc-fill { display: block; height: 100%; border-radius: 99px; background: var(--tone, #047857);
  opacity: .5; }
.fc-answer .fc-bars li:first-child { font-weight: 650; }
.fc-answer .fc-bars li:first-child .fc-fill { opacity: 1; }
.fc-facts { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 16px; padding-top: 12px;
  border-top: 1px solid var(--border-color-primary); font-size: .85rem; color:
  var(--body-text-color-subdued); }
.fc-facts b { color: var(--body-text-color); font-weight: 600; }
.fc-refusal { border-top: 5px solid #b91c1c; }
.fc-refusal .fc-pill { background: #fee2e2; color: #991b1b; }
.fc-refusal h2 { margin: 8px 0 4px; overflow-wrap: anywhere; }
.fc-many-head { display: flex; flex-wrap: wrap; gap: 10px; justify-content: space-between;
  align-items: center; margin-bottom: 8px; }
.fc-bad { color: #b91c1c; }
.dark .fc-bad { color: #fca5a5; }
a.fc-download { background: #047857; color: #fff !important; padding: 8px 16px; border-radius:
  10px; font-weight: 600; text-decoration: none; }
a.fc-download:hover { background: #065f46; }
.fc-rows { list-style: none; padding: 0; margin: 0; max-height: 640px; overflow-y: auto; }
.fc-row { display: grid; grid-template-columns: 52px minmax(0, 1fr) auto 66px; gap: 12px;
  align-items: center; padding: 8px 0; border-top: 1px solid var(--border-color-primary); }
.fc-row img, .fc-no-photo { width: 52px; height: 52px; object-fit: cover; border-radius: 8px;
  margin: 0; background: #fff; }
.fc-no-photo { display: grid; place-items: center; background: #fee2e2; color: #991b1b;
  font-weight: 700; }
.fc-row-name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color:
  var(--body-text-color-subdued); }
.fc-row-label { font-weight: 650; }
.fc-row.fc-none .fc-row-label { color: var(--body-text-color-subdued); }
.fc-row.fc-sure-low .fc-row-label { font-style: italic; font-weight: 400; }
.fc-row-value { text-align: right; font-variant-numeric: tabular-nums; }
.fc-row.fc-sure-high .fc-row-value { color: #047857; font-weight: 650; }
.dark .fc-row.fc-sure-high .fc-row-value { color: #6ee7b7; }
.fc-row.fc-sure-middle .fc-row-value { color: #b45309; }
.dark .fc-row.fc-sure-middle .fc-row-value { color: #fcd34d; }
.fc-row-why { grid-column: 2 / -1; margin-top: -10px; color: #b91c1c; font-size: .88rem;
  overflow-wrap: anywhere; }
.dark .fc-row-why { color: #fca5a5; }
.fc-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px;
  margin-bottom: 14px; }
.fc-tile { background: var(--block-background-fill); border: 1px solid
  var(--border-color-primary); border-radius: 14px; padding: 14px 16px; display: flex;
  flex-direction: column; }
.fc-tile span { font-size: .85rem; color: var(--body-text-color-subdued); }
.fc-tile b { font-size: 1.5rem; line-height: 1.3; }
.fc-tile small { color: var(--body-text-color-subdued); }
.fc-notice { background: #fef3c7; color: #78350f; border-radius: 12px; padding: 12px 16px; }
.fc-hint + .fc-scroll { margin-top: 10px; }
/* A shadow at the right edge while there is more to scroll to. */
.fc-scroll { overflow-x: auto; background: linear-gradient(to left, var(--block-background-fill)
  50%, transparent) right / 36px 100% no-repeat local, linear-gradient(to left, rgb(0 0 0 / .2),
  transparent) right / 14px 100% no-repeat scroll; }
table.fc-figures, table.fc-figures tr { border: 0 !important; }
table.fc-figures { width: 100%; margin: 0; border-collapse: collapse; font-variant-numeric:
  tabular-nums; }
table.fc-figures th, table.fc-figures td { padding: 6px 10px; text-align: right; border: 0;
  border-bottom: 1px solid var(--border-color-primary); }
table.fc-figures th:first-child { text-align: left; }
table.fc-figures tbody th:first-child { font-weight: 500; }
.fc-drop { border: 2px dashed #34a27b; }
#upload-kept:not(:has([class^=fc-])) { display: none; }
.gradio-container .block .container > .wrap { border-color: var(--input-border-color); }
.fc-drop .wrap { font-size: 0; color: #047857; }
.dark .fc-drop .wrap { color: #6ee7b7; }
.fc-drop .wrap .or { display: none; }
.fc-drop .wrap::after { content: "Drop photos or a zip here\\A or tap to choose"; font-size:
  1.05rem; font-weight: 600; white-space: pre-line; line-height: 1.7; text-align: center; }
#get { position: relative; }
#get .html-container, #give .html-container, #figures .html-container, #report .html-container,
#progress .html-container, #gallery-details .html-container, #plan .html-container,
#job .html-container { padding: 0 !important; }
#give { gap: 10px; }
.gradio-container button[role=tab] { font-size: 1rem; }
.gradio-container button[role=tab].selected { color: #047857; }
.dark .gradio-container button[role=tab].selected { color: #6ee7b7; }
#examples .label { color: var(--body-text-color); font-weight: 600; }
#examples .label svg { display: none; }
.fc-files { list-style: none; margin: 0; padding: 0; max-height: 420px; overflow-y: auto; }
.fc-file { display: grid; grid-template-columns: 110px minmax(0, 1fr); gap: 2px 12px; padding: 8px
  0; border-top: 1px solid var(--border-color-primary); align-items: center; }
.fc-file b { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 600; }
.fc-file > span:last-child { grid-column: 2; font-size: .88rem; overflow-wrap: anywhere; }
.fc-beside { display: flex; gap: 12px; margin-top: 6px; }
.fc-beside figure { margin: 0; }
.fc-beside img { width: 84px; height: 84px; object-fit: cover; border-radius: 8px; margin: 0; }
.fc-beside figcaption { font-size: .78rem; color: var(--body-text-color-subdued); }
.fc-file .fc-pill { text-align: center; background: #e7e5e4; color: #44403c; }
.fc-file-added .fc-pill, .fc-file-relabelled .fc-pill { background: #d1fae5; color: #065f46; }
.fc-file-other_label .fc-pill { background: #fef3c7; color: #78350f; }
.fc-file-refused .fc-pill, .fc-file-is_test .fc-pill { background: #fee2e2; color: #991b1b; }
#was-right { border: 1px solid var(--border-color-primary); border-radius: 16px; padding: 14px 20px;
  gap: 10px; background: var(--block-background-fill); }
#was-right .html-container { padding: 0 !important; }
#truth .wrap { min-height: 42px; border: 1px solid var(--border-color-primary); border-radius:
  10px; }
.fc-ask { margin: 0; font-size: .95rem; }
#reviews .grid-container, #suspects .grid-container, #gallery .grid-container,
#cell-photos .grid-container {
  grid-template-columns: repeat(auto-fill, minmax(90px, 1fr)) !important; }
/* As high as its photos are: Gradio makes it at least 450 px, however few there are. */
#reviews .grid-wrap, #suspects .grid-wrap, #gallery .grid-wrap, #cell-photos .grid-wrap {
  min-height: 0 !important; max-height: none !important; height: auto !important; }
.fc-warn { color: #b45309; }
.fc-plain { list-style: none; margin: 6px 0; padding: 0; }
.fc-plain li { padding: 3px 0; }
.fc-empty .fc-plain { color: var(--body-text-color-subdued); max-width: 52ch; margin: 8px auto 0; }
.fc-state-succeeded { background: #d1fae5; color: #065f46; }
.fc-state-running, .fc-state-queued { background: #e0f2fe; color: #075985; }
.fc-state-rejected, .fc-state-cancelled { background: #fef3c7; color: #78350f; }
.fc-state-failed { background: #fee2e2; color: #991b1b; }
.fc-job-message { white-space: pre-line; overflow-wrap: anywhere; }
.fc-job h4 { margin: 16px 0 4px; font-size: .95rem; font-weight: 650; }
.fc-job h5 { margin: 12px 0 0; font-size: .85rem; font-weight: 600; }
.fc-now { font-weight: 600; margin: 8px 0; }
.fc-checks li { padding-left: 24px; position: relative; font-size: .92rem; }
.fc-checks li::before { position: absolute; left: 0; font-weight: 700; }
.fc-check-yes::before { content: "\\2713"; color: #047857; }
.fc-check-no::before { content: "\\2717"; color: #b91c1c; }
.fc-pairs { list-style: none; padding: 0; margin: 4px 0 0; }
.fc-pairs li { display: grid; grid-template-columns: 108px 1fr 92px; gap: 10px; align-items:
  center; padding: 3px 0; font-size: .88rem; }
.fc-pair .fc-track { height: 6px; margin: 2px 0; }
.fc-fill.fc-before { background: #78716c; opacity: .7; }
.fc-fill.fc-now { opacity: 1; margin: 0; }
table.fc-left td, table.fc-left thead th { text-align: left; }
/* The table can be pushed aside on a phone. */
td.fc-line { white-space: nowrap; }
.dark .fc-warn { color: #fcd34d; }
.fc-two { display: grid; grid-template-columns: 1fr 1fr; gap: 14px; align-items: start;
  margin-bottom: 14px; }
.fc-two > .fc-card { margin-bottom: 0 !important; }
.fc-alerts { list-style: none; margin: 0; border-left: 5px solid #b45309; }
.fc-alerts li + li { margin-top: 8px; }
.fc-drift p { margin: 6px 0 0; }
.fc-drift-alike { background: #d1fae5; color: #065f46; }
.fc-drift-drifted { background: #fef3c7; color: #78350f; }
.fc-drift-unknown { background: #e7e5e4; color: #44403c; }
.fc-charts { display: grid; grid-template-columns: 1fr 1fr; gap: 18px 28px; margin-top: 12px; }
.fc-job .fc-charts { grid-template-columns: minmax(0, 1fr); }
.fc-chart { margin: 0; min-width: 0; }
.fc-chart figcaption { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: .88rem;
  align-items: center; margin-bottom: 6px; min-height: 2.6em; }
.fc-key { display: inline-flex; align-items: center; gap: 5px; font-size: .8rem; color:
  var(--body-text-color-subdued); white-space: nowrap; }
.fc-key svg { width: 28px; height: 8px; }
.fc-key i { width: 12px; height: 12px; border-radius: 3px; }
.fc-chart line, .fc-chart polyline { stroke-width: 2.5; fill: none; vector-effect:
  non-scaling-stroke; stroke-linecap: round; }
.fc-chart polyline.fc-dot { stroke-width: 6; stroke-dasharray: none; }
.fc-chart .fc-grid { stroke: var(--border-color-primary); stroke-width: 1; }
.fc-chart .fc-tip { fill: transparent; }
.fc-chart .fc-tip:hover { fill: #78716c33; }
.fc-chart-body { display: grid; grid-template-columns: auto 1fr; gap: 8px; }
.fc-chart-y { display: flex; flex-direction: column; justify-content: space-between; text-align:
  right; font-size: .75rem; line-height: 1; color: var(--body-text-color-subdued); min-width: 3.6em;
  white-space: nowrap; }
.fc-chart-area { position: relative; height: 132px; border-left: 1px solid
  var(--border-color-primary); border-bottom: 1px solid var(--border-color-primary); }
.fc-chart-area svg { width: 100%; height: 100%; display: block; overflow: visible; }
.fc-chart-x { display: flex; justify-content: space-between; font-size: .75rem; margin: 4px 0 0
  calc(3.6em + 8px); color: var(--body-text-color-subdued); }
.fc-mark { position: absolute; top: 0; bottom: 0; border-left: 2px dotted var(--body-text-color);
  pointer-events: none; }
.fc-mark b { position: absolute; top: -2px; left: 4px; font-size: .72rem; font-weight: 600; }
.fc-mark-left b { left: auto; right: 4px; }
table.fc-confusion { border-collapse: separate !important; border-spacing: 2px; margin: 8px 0 0;
  font-size: .82rem; font-variant-numeric: tabular-nums; width: auto; }
table.fc-confusion, table.fc-confusion tr, table.fc-confusion th, table.fc-confusion td {
  border: 0 !important; }
table.fc-confusion th, table.fc-confusion td { padding: 0; }
table.fc-confusion thead th { height: 104px; vertical-align: bottom; min-width: 34px; }
table.fc-confusion thead th span { writing-mode: vertical-rl; transform: rotate(180deg);
  font-weight: 500; padding: 2px 0; }
table.fc-confusion th:first-child { position: sticky; left: 0; z-index: 1; background:
  var(--block-background-fill); }
table.fc-confusion tbody th { text-align: right; padding-right: 8px; font-weight: 500; white-space:
  nowrap; }
table.fc-confusion td { width: 42px; height: 32px; text-align: center; border-radius: 6px;
  background: var(--background-fill-secondary); }
.fc-cell { background: color-mix(in srgb, #d55e00 calc(var(--share) * 75%),
  var(--background-fill-secondary)) !important; }
.fc-cell.fc-right { background: color-mix(in srgb, #0072b2 calc(var(--share) * 45%),
  var(--background-fill-secondary)) !important; }
.fc-cell button { width: 100%; height: 100%; border-radius: 6px; font: inherit; color: inherit;
  cursor: pointer; text-decoration: underline dotted; text-underline-offset: 3px; background:
  transparent !important; box-shadow: none !important; padding: 0; }
.fc-cell button:hover, .fc-cell button:focus-visible { outline: 2px solid var(--body-text-color); }
.fc-part { padding-top: 16px !important; font-weight: 650 !important; }
.fc-reliability { max-width: 340px; margin-top: 10px; position: relative; }
.fc-reliability .fc-chart-x { margin-left: 0; }
.fc-reliability-y { position: absolute; top: 2px; left: 8px; font-size: .75rem; color:
  var(--body-text-color-subdued); }
.fc-reliability-area { position: relative; aspect-ratio: 1; border-left: 1px solid
  var(--border-color-primary); border-bottom: 1px solid var(--border-color-primary); }
.fc-reliability-area svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.fc-reliability-area line { stroke: var(--body-text-color-subdued); stroke-dasharray: 4 4;
  vector-effect: non-scaling-stroke; }
.fc-reliability-area i { position: absolute; width: var(--size); height: var(--size); border-radius:
  50%; background: #0072b2; opacity: .85; transform: translate(-50%, 50%); }
#alerts .html-container, #charts .html-container, #inspect .html-container { padding: 0 !important;
  }
@media (max-width: 700px) {
  .gradio-container main { padding: 10px 14px !important; }
  .fc-masthead { padding: 4px 2px 0; }
  .fc-masthead h1 { font-size: 1.5rem; }
  #photos, #photos > button, #photos .wrap { height: 150px !important; min-height: 0 !important; }
  .fc-photo { width: 104px; height: 104px; }
  .fc-answer .fc-label { font-size: 1.8rem; }
  .fc-card { padding: 16px; }
  .fc-empty { padding: 24px 16px; }
  .fc-tiles { grid-template-columns: 1fr 1fr; }
  .fc-tile b { font-size: 1.2rem; }
  .fc-two, .fc-charts { grid-template-columns: minmax(0, 1fr); }
  .fc-rows { max-height: none; }
  .fc-row { grid-template-columns: 52px minmax(0, 1fr) 66px; row-gap: 0; }
  .fc-row img, .fc-no-photo { grid-row: span 2; align-self: start; }
  .fc-row-name { grid-column: 2 / -1; font-size: .85rem; }
  .fc-row-label { grid-column: 2; }
  .fc-row-why { margin-top: 0; }
  table.fc-figures th, table.fc-figures td { padding: 6px 4px; }
}
"""
