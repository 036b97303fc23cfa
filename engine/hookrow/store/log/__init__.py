"""The log as it is read and purged. What is written into it stands in `hookrow.store.outbox.writing`."""

__all__: list[str] = []
