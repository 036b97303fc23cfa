"""Hookrow in web frameworks: Django, FastAPI (Starlette), Flask. Each module imports its own one only."""

from __future__ import annotations

__all__: list[str] = []
