"""Delivery: Flask under `gunicorn -k gthread`. A hook's result is the price; a veto of our own firing is a problem."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, request

from hookrow import HookEngine, Vetoed
from hookrow.wsgi import HookMiddleware, fired, problem

__all__ = ["app"]

engine = HookEngine(os.environ["HOOKROW_DB"], worker=False)
app = Flask(__name__)
app.wsgi_app = HookMiddleware(app.wsgi_app, engine)  # type: ignore[method-assign]


@app.post("/organization/delivery_service/<int:number>/calculate")
def calculate(number: int) -> Any:
    """A hook's price, else our own."""
    firing = fired(request)["before_delivery_service_calculate"]
    return firing.result if firing.has_result else {"cost": 500}


@app.post("/handover")
def handover() -> Any:
    """An event that no route means: fired by the handler."""
    firing = engine.fire("before_order_setstatus", {"order": request.json})
    firing.raise_for_veto()
    return {"order": firing.data["order"]}


@app.errorhandler(Vetoed)
def vetoed(stopped: Vetoed) -> Any:
    """Problem details with the veto's status."""
    return problem(stopped.firing), stopped.veto.status
