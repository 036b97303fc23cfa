"""What every `fire()` needs and that seldom changes: hooks kept in memory, revisions, catalogue, settings."""

__all__: list[str] = []
