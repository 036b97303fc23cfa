"""How one implementation serves event loops and threads alike."""

__all__: list[str] = []
