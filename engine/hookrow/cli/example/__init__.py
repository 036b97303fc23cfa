"""The example database and the receivers of the demo."""

__all__: list[str] = []
