"""Middleware: a WSGI application's API calls fire their events, by the same rules as `hookrow.asgi`.

from hookrow.wsgi import HookMiddleware, fired

app.wsgi_app = HookMiddleware(app.wsgi_app, engine)          # Flask
application = HookMiddleware(get_wsgi_application(), engine)  # Django

fired(request)["before_delivery_service_calculate"].result   # in a view
"""

from __future__ import annotations

from hookrow.middleware.call import ApiCall, Shape
from hookrow.middleware.problem import problem
from hookrow.middleware.rules import fired
from hookrow.wsgi.middleware import HookMiddleware

__all__ = ["ApiCall", "HookMiddleware", "Shape", "fired", "problem"]
