"""Delivery: Flask under `gunicorn -k gthread`. A hook's result is the price; a veto of our own firing is a problem."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, request

from hookrow.contrib.flask import Hookrow
from hookrow.wsgi import HookMiddleware, fired

__all__ = ["app"]

hooks = Hookrow()
app = Flask(__name__)
app.config["HOOKROW"] = {"URL": os.environ["HOOKROW_DB"], "WORKER": False}
app.wsgi_app = HookMiddleware(app.wsgi_app, hooks.init_app(app))  # type: ignore[method-assign]


@app.post("/organization/delivery_service/<int:number>/calculate")
def calculate(number: int) -> Any:
    """A hook's price, else our own."""
    firing = fired(request)["before_delivery_service_calculate"]
    return firing.result if firing.has_result else {"cost": 500}


@app.post("/handover")
def handover() -> Any:
    """An event that no route means: fired by the handler."""
    firing = hooks.engine.fire("before_order_setstatus", {"order": request.json})
    firing.raise_for_veto()
    return {"order": firing.data["order"]}
