"""Changes of hooks beyond one field of one hook: several at once, and the last one taken back. Reads no log."""

__all__: list[str] = []
