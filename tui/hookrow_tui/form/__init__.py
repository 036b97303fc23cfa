"""The form of one hook."""

__all__: list[str] = []
