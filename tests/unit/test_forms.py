"""Multipart forms: what is taken, in whatever pieces it arrives, and what is refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.errors import BadRequest, TooManyFiles
from app.forms import Form, read_form

KIND = "multipart/form-data; boundary=b"
PHOTO = bytes(range(256)) * 300 + b"\r\n--c\r\n--"  # with the beginning of a boundary in it


def part(disposition: str, content: bytes) -> bytes:
    head = f"--b\r\nContent-Type: image/png\r\nContent-Disposition: form-data; {disposition}"
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


FORM = (
    part('name="file"; filename="a.png"', PHOTO)
    + part('name="top_k"', b"3")
    + part('name="file"; filename=""', b"")
    + part('name="top_k"', b"2")
    + b"--b--\r\n"
)


def read(body: bytes, kind: str = KIND, *, piece: int = 1_000_000, max_files: int = 4) -> Form:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), piece):
            yield body[start : start + piece]

    return asyncio.run(read_form(kind, pieces(), "file", max_files))


@pytest.mark.parametrize("piece", [1, 7, 64, 4096, 1_000_000])
def test_the_same_is_read_in_whatever_pieces_it_arrives(piece: int) -> None:
    form = read(FORM, piece=piece)

    assert [(file.name, file.content) for file in form.files] == [("a.png", PHOTO), ("", b"")]
    assert form.fields == {"top_k": "2"}  # the last one counts


@pytest.mark.parametrize("end", [-3, -40, 70_000, 60])
def test_a_form_that_ends_early_is_refused(end: int) -> None:
    with pytest.raises(BadRequest, match="ends before its last boundary"):
        read(FORM[:end])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"junk", "malformed"),
        (b"--b--\r\n", "no field 'file'; received: none"),
        (part('name="other"; filename="a"', b"x") + b"--b--\r\n", "received: 'other'"),
        (part('filename="a.png"', b"x") + b"--b--\r\n", "has no name"),
        (part('name="file"', b"text") + b"--b--\r\n", "'file' holds text"),
        (part('name="class_name"', b"x" * 64_001) + b"--b--\r\n", "more than 64,000 bytes"),
        (part('name="f"', b"x") * 21 + b"--b--\r\n", "too many fields; the limit is 20"),
    ],
)
def test_a_form_that_is_unfit_is_refused_in_a_sentence(body: bytes, words: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read(body)

    assert words in str(refusal.value)


def test_one_file_too_many_is_refused_before_its_content_is_read() -> None:
    with pytest.raises(TooManyFiles):
        read(part('name="file"; filename="a"', b"x") * 2 + b"--b\r\n", max_files=1)


@pytest.mark.parametrize("kind", ["multipart/form-data", 'multipart/form-data; boundary=""'])
def test_a_content_type_without_a_boundary_is_refused(kind: str) -> None:
    with pytest.raises(BadRequest, match="names no boundary"):
        read(FORM, kind)


def test_a_name_that_is_no_utf_8_is_read_byte_by_byte() -> None:
    body = FORM.replace(b"a.png", b"\xed\xa0\x80")

    assert read(body).files[0].name == "\xed\xa0\x80"
