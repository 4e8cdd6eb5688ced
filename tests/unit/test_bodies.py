"""Bodies of all requests together: bounded in bytes, and each in how long it is waited for."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from app.bodies import Intake, arriving, read_body
from app.errors import BadRequest, Overloaded
from app.settings import Settings

SETTINGS = Settings(max_request_bytes=100_000)


class Sender:
    """Sends chunks of a body, then waits until it is told how to go on."""

    def __init__(self, *chunks: bytes) -> None:
        self.sent = asyncio.Event()  # all of the chunks were taken
        self.going_on: asyncio.Queue[Message] = asyncio.Queue()
        self._messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
        ]
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
        self.request = Request(scope, self._receive)

    async def _receive(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        self.sent.set()
        return await self.going_on.get()


async def read(intake: Intake, sender: Sender) -> int:
    """Return the size of the bare image that is sent."""
    with intake.request() as take:
        body = await read_body(sender.request, SETTINGS, take)
        return len(body.files[0].content)


def test_bodies_that_stop_half_way_leave_no_room_for_others_until_they_end() -> None:
    async def scenario() -> None:
        intake = Intake(100)
        stopped, last = Sender(b"x" * 30, b"x" * 30), Sender(b"x" * 30)
        readers = [asyncio.create_task(read(intake, sender)) for sender in (stopped, last)]
        await stopped.sent.wait()
        await last.sent.wait()
        assert intake.held_bytes == 90

        with pytest.raises(Overloaded, match="try again in 5 s") as refused:
            await read(intake, Sender(b"x" * 20))
        assert refused.value.retry_after_s == 5
        assert intake.held_bytes == 90

        await stopped.going_on.put({"type": "http.disconnect"})
        with pytest.raises(ClientDisconnect):
            await readers[0]
        assert intake.held_bytes == 30
        await last.going_on.put({"type": "http.request", "body": b"x", "more_body": False})
        assert await readers[1] == 31
        assert intake.held_bytes == 0

    asyncio.run(scenario())


def test_a_body_is_held_until_its_request_is_answered() -> None:
    intake = Intake(100)
    with intake.request() as take:
        take(60)
        with intake.request() as another, pytest.raises(Overloaded):
            another(50)
        assert intake.held_bytes == 60
    assert intake.held_bytes == 0


@pytest.mark.parametrize(
    ("max_request_bytes", "expected"), [(100_000_000, 400_000_000), (1_000_000, 100_000_000)]
)
def test_there_is_room_for_several_of_the_largest_bodies_or_many_small_ones(
    max_request_bytes: int, expected: int
) -> None:
    intake = Intake.of(Settings(max_request_bytes=max_request_bytes))
    with intake.request() as take:
        take(expected)
        with pytest.raises(Overloaded):
            take(1)


def test_a_body_that_does_not_go_on_is_not_waited_for_without_end() -> None:
    async def scenario() -> None:
        sender = Sender(b"first")
        chunks: AsyncIterator[bytes] = arriving(sender.request, patience_s=0.01)
        assert await anext(chunks) == b"first"
        with pytest.raises(BadRequest, match=r"Nothing more of the request came for .* Send it"):
            await anext(chunks)

    asyncio.run(scenario())
