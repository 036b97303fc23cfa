"""Two services as gunicorn loads them: a Flask one and a Django one, each with an engine on HOOKROW_TEST_URL."""

from __future__ import annotations

import os
from typing import Any

from django.core.wsgi import get_wsgi_application
from flask import Flask, request

from django_host import set_up
from hookrow import HookEngine
from hookrow.wsgi import HookMiddleware, fired

__all__ = ["django", "flask"]

engine = HookEngine(os.environ["HOOKROW_TEST_URL"])
flask = Flask(__name__)


@flask.post("/organization/order/add")
def add() -> Any:
    """Answers with what it got."""
    return {"body": request.get_data(as_text=True), "fired": list(fired(request))}


@flask.post("/organization/user/new")
def register() -> Any:
    """As a service that made a user."""
    return {"user": {"id": 7}}, 201


flask.wsgi_app = HookMiddleware(flask.wsgi_app, engine)  # type: ignore[method-assign]
set_up()
django = HookMiddleware(get_wsgi_application(), engine)
