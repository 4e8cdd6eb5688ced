"""How errors become answers."""

import errno
import logging

import pytest
from sqlalchemy.exc import OperationalError

from app.errors import (
    BadRequest,
    MethodNotAllowed,
    ModelMismatch,
    NoModel,
    Overloaded,
    PayloadTooLarge,
    TooManyFiles,
    UnsupportedContent,
    gradio_error,
    http_error,
)
from data.errors import ImageTooLarge, InvalidArchive, InvalidImage, UnsupportedImage
from models.errors import InvalidVersion


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadRequest("no"), 400),
        (MethodNotAllowed("GET", "/api/predict", "POST"), 405),
        (PayloadTooLarge("The image", 5, 6), 413),
        (TooManyFiles(3, 2), 413),
        (InvalidVersion("model.onnx of v0002 has another checksum."), 409),
        (ModelMismatch("v0002 returns 3 numbers."), 409),
        (ImageTooLarge("big"), 413),
        (UnsupportedContent("text"), 415),
        (UnsupportedImage("text"), 415),
        (InvalidImage("damaged"), 422),
        (InvalidArchive("damaged"), 422),
        (Overloaded(1.2), 429),
        (NoModel("none."), 503),
    ],
)
def test_status_fits_the_error_and_the_body_names_the_request(
    error: Exception, status: int
) -> None:
    found, body, _ = http_error(error, "abc")

    assert found == status
    assert body == {
        "error": {"message": str(error), "type": type(error).__name__, "request_id": "abc"}
    }


def test_overloaded_says_when_to_try_again() -> None:
    assert http_error(Overloaded(1.2), "abc")[2] == {"Retry-After": "2"}


def test_unknown_error_is_logged_with_its_traceback_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        status, body, _ = http_error(RuntimeError("secret path /etc/x"), "abc")

    assert status == 500
    assert "secret" not in body["error"]["message"]
    assert "abc" in body["error"]["message"]
    assert "secret path" in caplog.text


def test_page_error_is_escaped() -> None:
    error = gradio_error(InvalidImage("<script>alert('x')</script> & more"), "abc")

    assert error.message == "&lt;script&gt;alert('x')&lt;/script&gt; &amp; more"


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(errno.ENOSPC, "x"), 507, "(No space left on device)"),
        (PermissionError(errno.EACCES, "x"), 507, "(Permission denied)"),
        (OperationalError("I", {}, Exception("database or disk is full")), 507, "disk is full"),
        (OperationalError("I", {}, Exception("disk I/O error")), 507, "disk I/O error"),
        (OperationalError("S", {}, Exception("no such table: images")), 500, "went wrong here"),
        (FileNotFoundError(errno.ENOENT, "x"), 500, "went wrong here"),
    ],
)
def test_a_disk_that_takes_nothing_is_said(error: Exception, status: int, words: str) -> None:
    found, body, _ = http_error(error, "abc")

    assert found == status
    assert words in body["error"]["message"]
