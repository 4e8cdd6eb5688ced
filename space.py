"""Starts the app on a Hugging Face Space, which runs a script and not a package.

A Space's proxy reaches the program at 0.0.0.0:7860; anything that is set goes first.
"""

import os

from app.__main__ import main

if __name__ == "__main__":
    os.environ.setdefault("GRADIO_SERVER_NAME", "0.0.0.0")  # nosec B104 # the proxy is outside
    os.environ.setdefault("GRADIO_SERVER_PORT", "7860")
    raise SystemExit(main([]))
