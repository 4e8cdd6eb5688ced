"""Sessions of the page and of Gradio clients that begin small.

Gradio opens a session for each call of its API, and writes the configuration of every component
into it, so that a deep link could rebuild the page later. This page has no deep links, and has some
hundred components: that is two thirds of the time of a call, and most of the memory of a session.
What a session changes is written into it when it changes.
"""

from types import SimpleNamespace
from typing import Any

from gradio import Blocks
from gradio.routes import App
from gradio.state_holder import SessionState, StateHolder


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
