"""What a WSGI server says of a request."""

from __future__ import annotations

from typing import Any

__all__ = ["Environ", "headers_of", "path_of"]

Environ = dict[str, Any]


def headers_of(environ: Environ) -> tuple[tuple[str, str], ...]:
    """The request's headers, names in lower case; one that came several times is one, or the last of them alone."""
    named = [("CONTENT_TYPE", "content-type"), ("CONTENT_LENGTH", "content-length")]
    found = [(name, environ[key]) for key, name in named if environ.get(key)]
    others = [key for key in environ if key.startswith("HTTP_")]
    return (*found, *((key[5:].replace("_", "-").lower(), environ[key]) for key in others))


def path_of(environ: Environ) -> str:
    """The path below the point where the application is mounted (`SCRIPT_NAME` is no part of `PATH_INFO`), decoded."""
    path: str = environ.get("PATH_INFO", "")
    return path.encode("latin-1").decode("utf-8", "replace")
