"""Widgets and dialogues that several screens share."""

__all__: list[str] = []
