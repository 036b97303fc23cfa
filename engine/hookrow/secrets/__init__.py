"""Secrets: what seals them, what opens them, what hides them. It knows no tables."""

__all__: list[str] = []
