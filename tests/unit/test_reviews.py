"""Photos that wait for a decision."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from data.errors import InvalidImage, InvalidLabel, QueueFull
from data.reviews import ReviewQueue


@pytest.fixture
def queue(tmp_path: Path) -> ReviewQueue:
    return ReviewQueue(tmp_path / "reviews", max_pending=2)


def picture(red: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), (red, 10, 10)).save(buffer, "PNG")
    return buffer.getvalue()


def add(queue: ReviewQueue, content: bytes, label: str = "kiwi") -> str:
    return queue.add(
        content, label=label, answered="lime", probability=0.5, version="v0001", name="a.png"
    ).digest


def test_photos_wait_in_their_order_with_their_files(queue: ReviewQueue) -> None:
    first, second = add(queue, picture(1)), add(queue, picture(2))

    waiting = queue.pending()

    assert {review.digest for review in waiting} == {first, second}
    assert {queue.read(review) for review in waiting} == {picture(1), picture(2)}


def test_the_same_photo_again_replaces_what_was_said(queue: ReviewQueue) -> None:
    add(queue, picture(1), "kiwi")
    add(queue, picture(1), "Lime")

    assert [review.label for review in queue.pending()] == ["lime"]


def test_a_full_queue_says_so_and_keeps_nothing(queue: ReviewQueue, tmp_path: Path) -> None:
    add(queue, picture(1))
    add(queue, picture(2))

    with pytest.raises(QueueFull, match="2 photos wait"):
        add(queue, picture(3))

    assert len(list((tmp_path / "reviews").glob("*.png"))) == 2


def test_what_is_removed_is_forgotten_with_its_file(queue: ReviewQueue, tmp_path: Path) -> None:
    digest = add(queue, picture(1))

    assert queue.remove([digest, "0" * 64]) == 1
    assert queue.pending() == []
    assert list((tmp_path / "reviews").glob("*.png")) == []


def test_no_picture_and_no_name_are_refused(queue: ReviewQueue) -> None:
    with pytest.raises(InvalidImage):
        add(queue, b"text")
    with pytest.raises(InvalidLabel):
        add(queue, picture(1), "a/b")


def test_sending_a_photo_again_on_a_full_disk_keeps_the_one_that_waits(
    queue: ReviewQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(queue, picture(1), "kiwi")

    def full(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        add(queue, picture(1), "lime")

    (waiting,) = queue.pending()
    assert (waiting.label, queue.read(waiting)) == ("kiwi", picture(1))
    assert list((tmp_path / "reviews").glob("tmp*")) == []
