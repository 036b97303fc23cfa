"""Deciding what becomes of a delivery: plan, message, reply and what is kept of it, states.

Pure: no clock, no network, no database.
"""

__all__: list[str] = []
