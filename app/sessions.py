"""Sessions of the page and of Gradio clients that begin small and leave nothing behind.

Gradio opens a session for each call of its API, and writes the configuration of every component
into it, so that a deep link could rebuild the page later. This page has no deep links, and has some
hundred components: that is two thirds of the time of a call, and most of the memory of a session.
What a session changes is written into it when it changes. And it keeps the name of each session
that ever was, with the set of its events, which is empty by then; here those are dropped.
"""

from types import SimpleNamespace
from typing import Any, Final

from gradio import Blocks
from gradio.routes import App
from gradio.state_holder import SessionState, StateHolder

_SWEPT_EVERY: Final = 1000


class PendingEvents(dict[str, set[str]]):
    """The events of each session that nobody has fetched the answers of yet."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = _SWEPT_EVERY

    def __setitem__(self, session: str, events: set[str]) -> None:
        """Add a session, and now and then drop those without events."""
        if len(self) >= self._limit:
            for name in [name for name, pending in self.items() if not pending]:
                del self[name]
            self._limit = len(self) + _SWEPT_EVERY
        super().__setitem__(session, events)

    def __missing__(self, session: str) -> set[str]:
        """Return no events for a session that was dropped."""
        return set()


class SmallSessions(StateHolder):
    """Holds the sessions of a page, each without the components that it left as they are."""

    def __getitem__(self, session_id: str) -> SessionState:
        """Return the session of that name; a new one where there is none."""
        if session_id not in self.session_data:
            # The components to write down are those of `blocks`, of which these are none.
            page: Any = SimpleNamespace(default_config=self.blocks.default_config, blocks={})
            self.session_data[session_id] = SessionState(page)
        return super().__getitem__(session_id)


def use_small_sessions(app: App, page: Blocks) -> None:
    """Let a mounted page hold its sessions that way; call it before the first request."""
    app.state_holder = SmallSessions()  # type: ignore[no-untyped-call]
    app.state_holder.set_blocks(page)
    page._queue.pending_event_ids_session = PendingEvents()
