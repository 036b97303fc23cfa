"""What who cares for a database asks: its keys and how it is. No firing, no request."""

__all__: list[str] = []
