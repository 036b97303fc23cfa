"""The log on the screen."""

__all__: list[str] = []
