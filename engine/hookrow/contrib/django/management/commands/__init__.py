"""Django looks for `manage.py hookrow` here."""

from __future__ import annotations

__all__: list[str] = []
