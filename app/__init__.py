"""Serve: the page, the REST routes and the command line, over one prediction service.

Nothing here imports TensorFlow, ``training`` or ``export``.
"""

import os

# Gradio reads this once, while it is being imported, and calls home unless it is False. This module
# runs before any ``import gradio`` of ours, wherever that stands.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
