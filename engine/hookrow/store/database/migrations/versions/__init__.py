"""One module a version, in order: frozen copies of what was true then, that import nothing of the engine."""

__all__: list[str] = []
