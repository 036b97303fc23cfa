"""Keeping a database in order: what an admin does now and then."""

__all__: list[str] = []
