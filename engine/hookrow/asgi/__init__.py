"""Middleware: an ASGI application's API calls fire their events, before-hooks may refuse or change them.

from hookrow.asgi import HookMiddleware, fired

app.add_middleware(HookMiddleware, engine=engine)            # Starlette, FastAPI
application = HookMiddleware(get_asgi_application(), engine)  # Django

fired(request)["before_delivery_service_calculate"].result   # in a handler
"""

from __future__ import annotations

from hookrow.asgi.middleware import HookMiddleware
from hookrow.middleware.call import ApiCall, Shape
from hookrow.middleware.problem import problem
from hookrow.middleware.rules import fired

__all__ = ["ApiCall", "HookMiddleware", "Shape", "fired", "problem"]
