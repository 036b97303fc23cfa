"""What the form says: what stands in it, what is wrong, what a body may name."""

__all__: list[str] = []
