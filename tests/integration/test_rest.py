"""The REST routes over real onnxruntime and real files, without the page."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from app.access import Access
from app.bodies import Intake
from app.errors import Overloaded
from app.handling import handled
from app.metrics import Metrics
from app.rest import build_router, predict_handler
from app.service import PredictionService
from app.settings import Settings
from app.workers import WorkerPool
from data.labels import BASE_LABELS
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import REFUSING_LABELS, colour_model, encode, publish

SETTINGS = Settings(max_file_bytes=200_000, max_request_bytes=500_000, max_files=4)


@pytest.fixture
def pool() -> WorkerPool:
    return WorkerPool(threads=2, max_pending=4, max_wait_s=60)


@pytest.fixture
def client(
    registry: ModelRegistry, version: ModelVersion, pool: WorkerPool
) -> Iterator[TestClient]:
    service = PredictionService(registry, limits=SETTINGS.image_limits, pool=pool)
    service.load()
    yield client_of(service)
    service.close()


def client_of(service: PredictionService) -> TestClient:
    app = FastAPI()
    app.include_router(build_router(service, SETTINGS, Access(SETTINGS)))
    return TestClient(app)


def error_of(response: Any, status: int) -> dict[str, str]:
    assert response.status_code == status, response.text
    error: dict[str, str] = response.json()["error"]
    assert error["request_id"] == response.headers["x-request-id"]
    return error


@pytest.mark.parametrize("label", ["apple", "banana", "orange"])
def test_photo_in_a_form_gets_its_name(client: TestClient, label: str) -> None:
    response = client.post("/api/predict", files={"file": ("x.png", encode(label))})

    body = response.json()
    assert response.status_code == 200
    assert list(body) == [
        "label", "probability", "nearest", "probabilities", "version", "timing_ms", "request_id",
    ]  # fmt: skip
    assert body["probability"] == body["probabilities"][0]["probability"]
    assert body["nearest"] is None
    assert body["label"] == label == body["probabilities"][0]["label"]
    assert (len(body["probabilities"]), body["version"]) == (8, "v0001")
    assert sum(p["probability"] for p in body["probabilities"]) == pytest.approx(1, abs=1e-6)
    assert set(body["timing_ms"]) == {"wait", "decode", "inference", "total"}
    assert body["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "image/heic", None])
def test_photo_as_the_body_gets_the_same_answer(client: TestClient, kind: str | None) -> None:
    content = encode("mango")
    form = client.post("/api/predict", files={"file": content}).json()

    headers = {"content-type": kind} if kind else {}
    bare = client.post("/api/predict", content=content, headers=headers).json()

    assert bare["probabilities"] == form["probabilities"]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF"])
def test_every_accepted_format_is_answered(client: TestClient, format: str) -> None:
    response = client.post("/api/predict", content=encode("orange", format))

    assert response.json()["label"] == "orange"


def test_top_k_in_the_query_or_the_form(client: TestClient) -> None:
    photo = {"file": encode("apple")}

    assert len(client.post("/api/predict?top_k=2", files=photo).json()["probabilities"]) == 2
    form = client.post("/api/predict", files=photo, data={"top_k": "3"}).json()
    assert len(form["probabilities"]) == 3


def test_a_picture_of_nothing_known_is_none_of_these_with_the_nearest_guess(
    registry: ModelRegistry, refusing: ModelVersion
) -> None:
    service = PredictionService(registry)
    service.load()
    blue = encode_plain((25, 77, 230))

    body = client_of(service).post("/api/predict?top_k=1", content=blue).json()

    assert body["label"] == "none_of_these"
    assert body["nearest"] in BASE_LABELS
    assert body["probabilities"] == [{"label": "none_of_these", "probability": body["probability"]}]
    service.close()


@pytest.mark.parametrize("kind", ["maps", "occlusion"])
def test_explain_adds_a_heat_map_from_maps_or_by_occlusion(
    registry: ModelRegistry, kind: str
) -> None:
    maps_output = "activation_maps" if kind == "maps" else None
    publish(registry, colour_model(REFUSING_LABELS), REFUSING_LABELS, maps_output)
    service = PredictionService(registry)
    service.load()
    client = client_of(service)
    picture = Image.new("RGB", (100, 100), "white")
    picture.paste((250, 130, 0), (50, 50, 100, 100))  # an orange in the lower right quarter

    plain = client.post("/api/predict", content=as_png(picture)).json()
    explained = client.post("/api/predict?explain=true", content=as_png(picture)).json()

    heat = np.array(explained["heat_map"])
    assert explained["label"] == plain["label"]
    assert heat.shape == ((4, 4) if kind == "maps" else (6, 6))
    assert heat.max() == 1.0
    assert heat.min() >= 0.0
    assert "heat_map" not in plain
    service.close()


def test_explain_in_the_form_and_a_flag_that_is_none(client: TestClient) -> None:
    photo = {"file": encode("apple")}

    form = client.post("/api/predict", files=photo, data={"explain": "true"})
    assert "heat_map" in form.json()
    error = error_of(client.post("/api/predict?explain=perhaps", files=photo), 400)
    assert error["message"] == "explain is 'perhaps'; it must be true or false."
    for name in ("explain", "top_k"):
        error = error_of(client.post("/api/predict", files=photo | {name: b"0" * 10**5}), 400)
        assert error["message"] == f"{name} is a file; send it as text."


def encode_plain(colour: tuple[int, int, int]) -> bytes:
    return as_png(Image.new("RGB", (60, 60), colour))


def as_png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_several_files_give_a_list_in_which_a_refused_one_is_an_entry(client: TestClient) -> None:
    files = [("file", ("a.png", encode("apple"))), ("file", ("b.txt", b"text"))]

    response = client.post("/api/predict", files=files, headers={"X-Request-ID": "mine"})

    first, second = response.json()
    assert response.status_code == 200
    assert (first["name"], first["label"], first["request_id"]) == ("a.png", "apple", "mine")
    assert second["name"] == "b.txt"
    assert (second["error"]["type"], second["error"]["request_id"]) == ("UnsupportedImage", "mine")


def test_sane_request_id_comes_back_and_another_does_not(client: TestClient) -> None:
    given = client.get("/api/health", headers={"X-Request-ID": "trace-7"})
    odd = client.get("/api/health", headers={"X-Request-ID": "a b"})

    assert given.headers["x-request-id"] == "trace-7"
    assert odd.headers["x-request-id"] != "a b"


@pytest.mark.parametrize(
    ("request_arguments", "status", "part"),
    [
        ({"content": b""}, 400, "body is empty"),
        ({"files": {"photo": b"x"}}, 400, "no field 'file'; received: 'photo'"),
        ({"data": {"file": "text"}, "files": {"other": b"x"}}, 400, "holds text"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "boundary"),
        (
            {"content": b"junk", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            400,
            "malformed",
        ),
        ({"content": b"{}", "headers": {"content-type": "application/json"}}, 415, "content type"),
        ({"content": b"just text"}, 415, "not a picture"),
        ({"files": {"file": b""}}, 422, "is empty"),
        ({"content": b"x" * 200_001}, 413, "200,001 bytes; the limit is 200,000"),
        ({"files": {"file": b"x" * 200_001}}, 413, "the limit is 200,000"),
        ({"files": [("file", b"x" * 180_000)] * 3}, 413, "the limit is 500,000"),
        ({"files": [("file", b"x")] * 5}, 413, "the limit is 4"),
        ({"content": b"x", "params": {"top_k": "0"}}, 400, "top_k is '0'"),
        ({"content": b"x", "params": {"top_k": "many"}}, 400, "top_k is 'many'"),
    ],
)
def test_unfit_request_gets_a_status_and_a_sentence(
    client: TestClient, request_arguments: dict[str, Any], status: int, part: str
) -> None:
    error = error_of(client.post("/api/predict", **request_arguments), status)

    assert part in error["message"]


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode", "unicode_escape", "utf-7"])
def test_a_form_in_an_alphabet_that_could_break_the_answer_is_refused(
    client: TestClient, charset: str
) -> None:
    kind = f"multipart/form-data; boundary=b; charset={charset}"
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="\\ud800"\r\n\r\nx\r\n'
    headers = {"content-type": kind}

    error = error_of(client.post("/api/predict", content=part + b"--b--", headers=headers), 400)

    assert error["message"].startswith(f"The charset is '{charset}'; accepted: utf-8")


def test_a_name_of_bytes_that_are_no_text_comes_back_as_some(client: TestClient) -> None:
    part = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xed\xa0\x80"\r\n\r\nx\r\n'
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}

    answers = client.post("/api/predict", content=part * 2 + b"--b--\r\n", headers=headers).json()

    assert [answer["name"] for answer in answers] == ["\xed\xa0\x80"] * 2


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "DELETE"])
def test_every_method_that_is_not_taken_is_405(client: TestClient, method: str) -> None:
    assert error_of(client.request(method, "/api/health"), 405)["type"] == "MethodNotAllowed"


def test_a_host_header_that_is_none_is_no_error_of_ours(client: TestClient) -> None:
    error_of(client.get("/api/none", headers={"host": "[::1"}), 404)


def test_an_endless_path_is_told_in_a_short_sentence(client: TestClient) -> None:
    assert len(error_of(client.get("/api/" + "a" * 50_000), 404)["message"]) < 1000


def test_a_caller_who_hangs_up_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async def cut(request: Request) -> Response:
        raise ClientDisconnect

    metrics = Metrics()
    answer = asyncio.run(
        handled("/api/predict", cut, metrics)(
            Request({"type": "http", "method": "POST", "headers": []})
        )
    )

    assert answer.status_code == 400
    assert "ERROR" not in caplog.text


def test_damaged_photo_is_422(client: TestClient) -> None:
    error = error_of(client.post("/api/predict", content=encode("apple")[:3000]), 422)

    assert error["type"] == "InvalidImage"


def test_body_without_a_length_is_cut_off_at_the_limit(client: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 100_000
            yield b"x" * 100_000

    error_of(client.post("/api/predict", content=endless()), 413)


def test_busy_server_answers_429_with_retry_after(client: TestClient, pool: WorkerPool) -> None:
    with pool.admitted(), pool.admitted(), pool.admitted(), pool.admitted():
        response = client.post("/api/predict", content=encode("apple"))

    assert error_of(response, 429)["type"] == "Overloaded"
    assert response.headers["retry-after"] == "1"
    assert client.post("/api/predict", content=encode("apple")).status_code == 200


@pytest.mark.parametrize("photos", [1, 3])
def test_photos_that_waited_too_long_for_a_worker_are_429_with_retry_after(
    registry: ModelRegistry, version: ModelVersion, photos: int
) -> None:
    service = PredictionService(registry, pool=WorkerPool(2, 4, max_wait_s=0.0))
    service.load()
    files = [("file", (f"{n}.png", encode("apple"))) for n in range(photos)]

    response = client_of(service).post("/api/predict", files=files)

    assert error_of(response, 429)["type"] == "Overloaded"
    assert response.headers["retry-after"] == "1"
    service.close()


def test_a_busy_server_does_not_even_read_the_photo(
    registry: ModelRegistry, version: ModelVersion, pool: WorkerPool
) -> None:
    service = PredictionService(registry, pool=pool)
    service.load()

    async def receive() -> Message:
        raise AssertionError("the body is read")

    scope = {"type": "http", "method": "POST", "path": "/api/predict", "headers": []}
    request = Request(scope, receive)
    request.state.request_id = "mine"
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(pool.admitted())
        with pytest.raises(Overloaded):
            asyncio.run(predict_handler(service, SETTINGS)(request))

    assert service.metrics.snapshot()["refusals"]["by_type"] == {"Overloaded": 1}
    service.close()


def test_more_bytes_than_all_requests_may_hold_are_answered_429_and_forgotten(
    registry: ModelRegistry, version: ModelVersion
) -> None:
    service = PredictionService(registry)
    service.load()
    photo = encode("apple")
    intake = Intake(len(photo) + 10)
    app = FastAPI()
    app.include_router(build_router(service, SETTINGS, Access(SETTINGS), intake=intake))
    client = TestClient(app)

    with intake.request() as take:
        take(100)
        refused = client.post("/api/predict", content=photo)

    assert error_of(refused, 429)["type"] == "Overloaded"
    assert refused.headers["retry-after"] == "5"
    for _ in range(3):
        assert client.post("/api/predict", content=photo).status_code == 200
        assert client.post("/api/predict", content=b"no picture").status_code == 415
    assert intake.held_bytes == 0
    service.close()


def test_without_a_model_predict_is_503_and_health_is_not_ready(registry: ModelRegistry) -> None:
    service = PredictionService(registry)
    service.load()
    client = client_of(service)

    assert error_of(client.post("/api/predict", content=encode("apple")), 503)["type"] == "NoModel"
    health = client.get("/api/health")
    assert (health.status_code, health.json()["ready"]) == (503, False)
    assert client.get("/api/status").json()["model"] is None
    service.close()


def test_unknown_route_and_wrong_method_are_json(client: TestClient) -> None:
    assert "/api/predict" in error_of(client.get("/api/nothing"), 404)["message"]
    response = client.get("/api/predict")
    assert error_of(response, 405)["type"] == "MethodNotAllowed"
    assert response.headers["allow"] == "POST"


def test_status_counts_what_was_asked(client: TestClient) -> None:
    client.post("/api/predict", content=encode("apple"))
    client.post("/api/predict", content=b"text")

    status = client.get("/api/status").json()

    assert status["predictions"] == {"total": 1, "by_label": {"apple": 1}}
    assert status["refusals"]["by_type"] == {"UnsupportedImage": 1}
    assert status["model"]["version"] == "v0001"
    assert set(status["model"]["metrics"]) == {"fruits-360/test", "grocery/test"}
    assert status["latency_ms"]["total"]["count"] == 1


def test_openapi_describes_both_forms_of_the_body(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/api/predict"]["post"]

    content = operation["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "image/*", "application/octet-stream"}
    assert {"400", "413", "415", "422", "429", "503"} <= set(operation["responses"])
