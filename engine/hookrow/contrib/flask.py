"""Hookrow in Flask: an extension that makes an engine by the application's configuration.

    hooks = Hookrow()

    def create_app() -> Flask:
        app = Flask(__name__)
        app.config["HOOKROW"] = {"URL": "postgresql://…"}
        hooks.init_app(app)
        return app

    hooks.engine.fire("before_order_add", {"order": {"id": 7}}).raise_for_veto()  # in a view

docs/frameworks.md has it as a program.
"""

from __future__ import annotations

from flask import Flask, Response, current_app

from hookrow.contrib.settings import checked, engine_for
from hookrow.core.blocking import HookEngine
from hookrow.errors import IdempotencyConflict, Misuse, Vetoed
from hookrow.lang import Text
from hookrow.middleware.problem import PROBLEM, refusal
from hookrow.payload import dumps

__all__ = ["Hookrow"]

KEPT_AS = "hookrow"


class Hookrow:
    """The extension. One serves any number of applications, each with an engine of its own."""

    def __init__(self, app: Flask | None = None) -> None:
        """`app`: the same as `init_app` afterwards, by its configuration."""
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, engine: HookEngine | None = None) -> HookEngine:
        """Give the application its engine, and answer with problem details (RFC 9457) where a view lets `Vetoed` or
        `IdempotencyConflict` through. The engine is closed as the process ends.

        Args:
            engine: one that was made elsewhere; else it is made by `app.config["HOOKROW"]`: `URL` (else ./hooks.db),
                `WORKER`, `EVENTS`, `OBSERVERS`, `EGRESS`, `KEYS`, as `HookEngine` takes them.

        Raises:
            InvalidInput: a setting is wrong; else as `HookEngine`.
        """
        if engine is None:
            settings = checked(app.config.get("HOOKROW", {}))
            engine = engine_for(settings, settings.get("URL", "hooks.db"))
        app.extensions[KEPT_AS] = engine
        app.register_error_handler(Vetoed, answer)
        app.register_error_handler(IdempotencyConflict, answer)
        return engine

    @property
    def engine(self) -> HookEngine:
        """The engine of the application that handles the request.

        Raises:
            Misuse: `init_app` was not called for it.
        """
        found = current_app.extensions.get(KEPT_AS)
        if not isinstance(found, HookEngine):
            raise Misuse(Text("this application has no engine: call init_app(app) of hookrow.contrib.flask first"))
        return found


def answer(error: Vetoed | IdempotencyConflict) -> Response:
    """The error handler."""
    found = refusal(error)
    return Response(dumps(found), found["status"], content_type=PROBLEM)
