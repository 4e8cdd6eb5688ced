"""A slice of the campaign, the same cases each time; ``python -m tests.fuzz`` sends 10,000."""

from collections.abc import Iterator

import pytest

from app.rest import ROUTES
from tests.fuzz.campaign import LIMITS, Campaign, campaign
from tests.fuzz.cases import all_kinds
from tests.fuzz.oracle import problems
from tests.fuzz.wire import Answer, Call, Case

CASES = 200
REST = Case("json", "", path="/api/retrain")
PAGE = Case("call of the page", "", call=Call(1, "", ()))


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """A server after the slice was sent to it."""
    # The largest bombs are refused by their size here, so that the slice takes seconds.
    limits = LIMITS | {"FRUIT_MAX_PIXELS": "4000000"}
    with campaign(tmp_path_factory.mktemp("fuzz"), limits) as besieged:
        besieged.run(CASES)
        yield besieged


def test_every_answer_is_quick_and_every_refusal_a_sentence(besieged: Campaign) -> None:
    assert sum(kind.cases for kind in besieged.kinds.values()) >= CASES - 10
    assert [
        (problem, case.kind, case.what, case.path[:100], answer.status, answer.body[-200:])
        for problem, case, answer in besieged.problems
    ] == []


def test_afterwards_the_server_is_what_it_was(besieged: Campaign) -> None:
    assert besieged.aftermath() == []


def test_the_server_met_no_error_of_its_own(besieged: Campaign) -> None:
    assert besieged.internal_errors() == []


def test_every_route_is_besieged() -> None:
    config = {"components": [], "dependencies": [FUNCTION]}

    assert set(all_kinds(config, b"host")) >= {"json", "path and query", "call of the page"}
    assert [t for t in ROUTES if "fetch" in t] == ["/api/fetch_base_set"]  # the one left out


FUNCTION = {"id": 0, "backend_fn": True, "api_name": "a", "inputs": [], "api_visibility": "public"}


@pytest.mark.parametrize(
    ("case", "answer", "words"),
    [
        (REST, Answer(500, b'{"error":{"message":"A b c d."}}', 0.1), "status 500"),
        (REST, Answer(200, b"{}", 11.0), "took 11.0 s"),
        (REST, Answer(0, b"", 0.1), "no answer"),
        (REST, Answer(400, b"<html>", 0.1), "without JSON"),
        (REST, Answer(404, b'{"detail":"Not Found"}', 0.1), "without error.message"),
        (REST, Answer(400, b'{"error":{"message":"Bad"}}', 0.1), "no sentence"),
        (REST, Answer(404, b'{"error":{"message":"No file a in /srv/state."}}', 0.1), "/srv/state"),
        (PAGE, Answer(200, b"", 0.1, []), "never completed"),
        (PAGE, Answer(200, b"", 0.1, [{"msg": "process_completed", "success": False,
                                       "output": {"error": None}}]), "without a word"),
        (PAGE, Answer(200, b"", 0.1, [{"msg": "process_completed", "success": False,
                                       "output": {"error": "Not <script> in it."}}]), "escaped"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_noticed(case: Case, answer: Answer, words: str) -> None:
    assert words in " ".join(problems(case, answer, ["/srv/state"]))


def test_a_good_refusal_is_none() -> None:
    body = b'{"error":{"message":"The mode is 1; it must be quick or thorough."}}'

    assert problems(REST, Answer(400, body, 0.1), ["/srv/state"]) == []
