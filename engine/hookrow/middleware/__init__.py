"""What both middlewares are: which events an API call means, what hooks see of it, what becomes of it. No protocol."""

from __future__ import annotations

__all__: list[str] = []
