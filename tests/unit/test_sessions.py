"""What Gradio remembers of sessions that are over."""

from app.sessions import PendingEvents


def test_sessions_whose_answers_were_fetched_are_dropped_and_others_are_not() -> None:
    pending = PendingEvents()
    pending["waiting"] = {"an event"}
    for number in range(10_000):
        name = f"session {number}"
        pending[name] = set()
        pending[name].add("its event")
        pending[name].remove("its event")
        assert len(pending) <= 1001

    assert pending["waiting"] == {"an event"}
    assert "session 0" not in pending


def test_an_answer_to_a_dropped_session_finds_no_events() -> None:
    pending = PendingEvents()
    assert "an event" not in pending["gone"]
    assert "gone" not in pending


def test_any_number_of_sessions_may_wait() -> None:
    pending = PendingEvents()
    for number in range(3000):
        pending[str(number)] = {"an event"}
    assert len(pending) == 3000
