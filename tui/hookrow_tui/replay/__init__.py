"""Replaying and redelivering, one or many."""

__all__: list[str] = []
