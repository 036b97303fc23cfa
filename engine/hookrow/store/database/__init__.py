"""The database itself: where it is, how it is opened, read, written, migrated, kept. It knows no hook's meaning."""

__all__: list[str] = []
