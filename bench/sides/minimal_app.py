"""A minimal Textual application, alone or with Hookrow's models imported first: `minimal_app.py [models]`."""

import sys

from textual.app import App, ComposeResult
from textual.widgets import Static

if "models" in sys.argv:
    import hookrow.hook.model  # noqa: F401


class Minimal(App[None]):
    """One line."""

    def compose(self) -> ComposeResult:
        yield Static("minimal is here")


Minimal().run(mouse=False)
