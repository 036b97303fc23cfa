"""The list of hooks, a hook's history, and why it would run."""

__all__: list[str] = []
