"""Deciding what becomes of a delivery: plan, message, reply, states. Pure: no clock, no network, no database."""

__all__: list[str] = []
