"""The only SQL of the engine: the database and its writer thread, hooks, the log, the outbox, settings, migrations."""

__all__: list[str] = []
