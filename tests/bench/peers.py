"""Ordinary servers of the same model, each in its few lines, to be measured beside ours.

    python -m tests.bench.peers fastapi 8001

Each decodes with Pillow as its tutorial does and answers JSON with the label. ``flask`` and
``litserve`` need those packages (extra ``bench``), ``flask`` also TensorFlow.
"""

import io
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from models.manifest import KERAS_NAME, MANIFEST_NAME, MODEL_NAME, ModelManifest
from models.registry import baseline_folder

MANIFEST = ModelManifest.read(baseline_folder() / MANIFEST_NAME)
SIDE_PX, LABELS = MANIFEST.input.side_px, MANIFEST.labels


def pixels(content: bytes) -> NDArray[np.uint8]:
    """Return an encoded photo as a batch of one."""
    photo = Image.open(io.BytesIO(content)).convert("RGB").resize((SIDE_PX, SIDE_PX))
    return np.asarray(photo)[None]


def make_session() -> ort.InferenceSession:
    """Return the model as onnxruntime loads it by default."""
    return ort.InferenceSession(
        str(baseline_folder() / MODEL_NAME), providers=["CPUExecutionProvider"]
    )


def answer(session: ort.InferenceSession, batch: NDArray[np.uint8]) -> dict[str, str]:
    """Return the most probable label."""
    (rows,) = session.run(["probabilities"], {"image": batch})
    return {"label": LABELS[int(rows[0].argmax())]}


def serve_fastapi(port: int) -> None:
    """FastAPI with ``UploadFile`` and a synchronous route."""
    import uvicorn
    from fastapi import FastAPI, UploadFile

    app, session = FastAPI(), make_session()

    @app.post("/predict")
    def predict(file: UploadFile) -> dict[str, str]:
        return answer(session, pixels(file.file.read()))

    uvicorn.run(app, port=port, log_level="warning")


def serve_gradio(port: int) -> None:
    """A ``gr.Interface`` with an image and a label."""
    import gradio as gr

    session = make_session()

    def predict(image: NDArray[np.uint8]) -> dict[str, float]:
        photo = Image.fromarray(image).resize((SIDE_PX, SIDE_PX))
        (rows,) = session.run(["probabilities"], {"image": np.asarray(photo)[None]})
        return dict(zip(LABELS, map(float, rows[0]), strict=True))

    gr.Interface(predict, gr.Image(), gr.Label(), api_name="predict").launch(
        server_port=port, quiet=True
    )


def serve_flask(port: int) -> None:
    """Flask and Keras's ``predict``, as the tutorials have it."""
    import flask
    import keras

    app = flask.Flask(__name__)
    model = keras.models.load_model(baseline_folder() / KERAS_NAME)

    @app.post("/predict")
    def predict() -> dict[str, Any]:
        rows = model.predict(pixels(flask.request.files["file"].read()), verbose=0)
        return {"label": LABELS[int(rows[0].argmax())]}

    app.run(port=port)


def serve_litserve(port: int) -> None:
    """LitServe with two workers."""
    import litserve

    class Api(litserve.LitAPI):
        def setup(self, device: str) -> None:
            self.session = make_session()

        def decode_request(self, request: dict[str, Any]) -> NDArray[np.uint8]:
            return pixels(request["file"].file.read())

        def predict(self, batch: NDArray[np.uint8]) -> dict[str, str]:
            return answer(self.session, batch)

        def encode_response(self, output: dict[str, str]) -> dict[str, str]:
            return output

    litserve.LitServer(Api(), accelerator="cpu", workers_per_device=2).run(
        port=port, generate_client_file=False, log_level="warning"
    )


PEERS: dict[str, Callable[[int], None]] = {
    "fastapi": serve_fastapi,
    "gradio": serve_gradio,
    "flask": serve_flask,
    "litserve": serve_litserve,
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](int(sys.argv[2]))
