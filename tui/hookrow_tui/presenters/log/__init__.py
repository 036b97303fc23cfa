"""What the log says: its rows and list, its filter, all that is known of one delivery."""

__all__: list[str] = []
