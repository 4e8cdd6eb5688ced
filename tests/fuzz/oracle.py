"""What must hold for every answer, whatever was asked."""

import json
from collections.abc import Iterator
from typing import Any

import orjson

from tests.fuzz.wire import Answer, Case

SLOWEST_S = 10.0
# The server library answers what is no HTTP by itself, or ends the connection.
_NOT_HTTP = ("http",)
_OF_GRADIO = ("upload to the page", "call of the page", "gradio's routes")


def problems(case: Case, answer: Answer, secrets: list[str]) -> list[str]:
    """Return what is wrong with an answer, in words; nothing where all is well.

    Args:
        case: what was asked.
        answer: what came back.
        secrets: folders of the server, that no answer may tell.
    """
    return list(_problems(case, answer, secrets))


def _problems(case: Case, answer: Answer, secrets: list[str]) -> Iterator[str]:
    if answer.status >= 500:
        yield f"status {answer.status}"
    if answer.seconds > SLOWEST_S:
        yield f"took {answer.seconds:.1f} s"
    if answer.status == 0 and case.kind not in _NOT_HTTP:
        yield "no answer"
    text = answer.body.decode("utf-8", "replace")
    if answer.status >= 400 or "/api/" in case.path:
        for secret in secrets:
            if secret in text:
                yield f"tells of {secret}"
    if "Traceback" in text and answer.status >= 400:
        yield "shows a traceback"
    if case.call is not None and answer.status == 200:
        yield from _of_events(answer, secrets)
    elif case.path.startswith("/api/") and case.method != "HEAD" and answer.status:
        yield from _of_rest(case, answer)
    elif (
        case.kind in _OF_GRADIO
        and case.method != "HEAD"
        and answer.status >= 400
        and not answer.body.strip()
    ):
        yield "a refusal without a word"


def _of_rest(case: Case, answer: Answer) -> Iterator[str]:
    """Yield what is wrong with an answer of a REST route."""
    if answer.status == 400 and answer.body == b"Invalid HTTP request received.":
        return
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        yield f"status {answer.status} without JSON: {answer.body[:80]!r}"
        return
    if answer.status >= 400:
        if case.method == "PROPFIND":  # a method that HTTP does not know: any words will do
            return
        yield from _of_error(body)
    elif case.path.partition("?")[0] == "/api/predict":
        for entry in body if isinstance(body, list) else [body]:
            if "error" in entry:
                yield from _of_error(entry)
            elif not 0 <= entry["probability"] <= 1:
                yield f"a probability of {entry['probability']}"


def _of_error(body: Any) -> Iterator[str]:
    """Yield what is wrong with a refusal."""
    try:
        message = body["error"]["message"]
    except (KeyError, TypeError):
        yield f"a refusal without error.message: {str(body)[:120]}"
        return
    if len(message.split()) < 4 or not message.rstrip().endswith((".", ")")):
        yield f"no sentence: {message!r}"
    if len(message) > 2000:
        yield f"a sentence of {len(message):,} characters"


def _of_events(answer: Answer, secrets: list[str]) -> Iterator[str]:
    """Yield what is wrong with the stream of a call of the page."""
    done = [event for event in answer.events if event.get("msg") == "process_completed"]
    if not done:
        yield f"the call was never completed: {answer.body[-200:]!r}"
        return
    if done[-1]["success"]:
        return
    output = done[-1]["output"]
    words = output.get("error") if isinstance(output, dict) else None
    if not isinstance(words, str) or len(words.split()) < 3:
        yield f"a refusal without a word: {json.dumps(output)[:200]}"
    elif "Something went wrong" in words:
        yield f"an error of ours: {words}"
    elif any(secret in words for secret in secrets) or "Traceback" in words:
        yield f"tells too much: {words[:200]}"
    elif "<script" in words or "<img" in words:
        yield f"is not escaped: {words[:200]}"
