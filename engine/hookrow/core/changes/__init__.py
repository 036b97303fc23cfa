"""What belongs to changing hooks: what is tried before, several at once, the last change taken back."""

__all__: list[str] = []
