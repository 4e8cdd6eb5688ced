"""Previews of stored photos: what cannot be shown is grey, and hides no other."""

from typing import Any

import numpy as np
import pytest

from app.tabs.thumbnails import (
    LARGE_PX,
    grey_uri,
    photo_and_heat,
    stored_picture,
    thumbnail_uri,
)
from data.images import DEFAULT_LIMITS, RGBImage, decode_image
from tests.conftest import encode


def missing() -> bytes:
    raise FileNotFoundError("images/ab/abcd.jpg")


def test_a_photo_is_shrunk_to_a_square() -> None:
    picture = stored_picture(lambda: encode("banana"), 40)

    assert (picture.shape, picture.dtype) == ((40, 40, 3), np.uint8)
    assert len(np.unique(picture)) > 10


@pytest.mark.parametrize("read", [missing, lambda: b"no picture", lambda: b""])
def test_what_is_missing_or_damaged_is_grey(read: object) -> None:
    picture = stored_picture(read, 40)  # type: ignore[arg-type]

    assert picture.shape == (40, 40, 3)
    assert np.unique(picture).tolist() == [200]


def test_a_photo_that_higher_limits_let_in_is_shown() -> None:
    large = encode("banana", "JPEG") + bytes(DEFAULT_LIMITS.max_bytes)

    assert (stored_picture(lambda: large, 40) != stored_picture(lambda: b"", 40)).any()


def test_what_stands_for_a_picture_is_one() -> None:
    assert grey_uri(40).startswith("data:image/jpeg;base64,")


def test_a_photo_and_its_heat_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []

    def decode(content: bytes, **options: Any) -> RGBImage:
        decoded.append(content)
        return decode_image(content, **options)

    monkeypatch.setattr("app.tabs.thumbnails.decode_image", decode)
    content = encode("banana")

    photo, heat = photo_and_heat(content, [[0.0, 1.0]], DEFAULT_LIMITS)

    assert decoded == [content]
    assert photo == thumbnail_uri(content, LARGE_PX, DEFAULT_LIMITS)
    assert heat.startswith("data:image/jpeg;base64,")
    assert heat != photo
    assert photo_and_heat(b"no picture", [[0.0, 1.0]], DEFAULT_LIMITS) == ("", "")
