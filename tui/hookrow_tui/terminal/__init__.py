"""The terminal itself: what it can show, what reaches it, what it is lent to."""

__all__: list[str] = []
