"""Django as a host: set up once a process, with a connection to whatever database a test has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.db import connections
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from hookrow.middleware.rules import fired
from schemas import in_public

__all__ = ["application", "connected", "set_up"]


@csrf_exempt
def echo(request: HttpRequest, **parts: Any) -> JsonResponse:
    """A view for threads: answers with what it got."""
    firings = {code: firing.result for code, firing in fired(request).items()}
    length = request.headers.get("content-length")
    return JsonResponse({"body": request.body.decode(), "content-length": length, "fired": firings, "user": {"id": 7}})


urlpatterns = [path("<path:anything>", echo)]


def set_up() -> None:
    """Make Django ready; harmless when it is."""
    if not settings.configured:
        settings.configure(
            DATABASES={}, USE_TZ=True, ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"], MIDDLEWARE=[]
        )
        django.setup()


def application() -> Any:
    """Django's ASGI application, with one view for every path."""
    set_up()
    return get_asgi_application()


def words(url: str) -> dict[str, Any]:
    """Django's words for a database's URL."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path[1:]}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "HOST": parts.hostname or dict(pair.split("=") for pair in parts.query.split("&") if pair).get("host", ""),
        "PORT": parts.port or "",
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "OPTIONS": in_public(url),
    }


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """Django's connection to a database, for this thread."""
    set_up()
    alias = f"test{abs(hash(url))}"
    connections.settings = connections.configure_settings({**connections.settings, alias: words(url)})
    made = connections[alias]
    try:
        yield made
    finally:
        made.close()
        del connections[alias]
