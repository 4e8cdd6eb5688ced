"""The page is served once it is built, and built again where it could not be."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

import app.late_page
from app.late_page import LatePage


def a_page() -> FastAPI:
    page = FastAPI()
    page.add_route("/", lambda request: PlainTextResponse("the page"))
    return page


async def get(page: LatePage) -> httpx.Response:
    transport = httpx.ASGITransport(page)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.get("/")


def test_who_asks_while_it_is_built_waits_for_it() -> None:
    async def scenario() -> None:
        page = LatePage(a_page)
        early = asyncio.create_task(get(page))
        await asyncio.sleep(0)
        async with page.running():
            assert (await early).text == "the page"

    asyncio.run(scenario())


def test_a_page_that_cannot_be_built_is_said_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(app.late_page, "FIRST_PAUSES_S", (0.05,))
    monkeypatch.setattr(app.late_page, "PAUSE_S", 0.05)
    full = True

    def build() -> FastAPI:
        if full:
            raise OSError("No space left on device")
        return a_page()

    async def scenario() -> None:
        nonlocal full
        page = LatePage(build)
        async with page.running():
            response = await get(page)
            assert (response.status_code, response.text[:27]) == (
                503,
                "The page could not be built",
            )
            full = False
            async with asyncio.timeout(10):
                while (response := await get(page)).status_code == 503:
                    await asyncio.sleep(0.01)
            assert response.text == "the page"

    asyncio.run(scenario())
    assert "No space left on device" in caplog.text


def test_the_end_of_the_server_does_not_wait_for_the_next_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.late_page.FIRST_PAUSES_S", (600.0,))

    def build() -> FastAPI:
        raise OSError("No space left on device")

    async def scenario() -> None:
        page = LatePage(build)
        async with asyncio.timeout(60), page.running():
            await get(page)

    asyncio.run(scenario())
