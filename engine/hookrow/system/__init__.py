"""What the operating system does to a process: a child of fork has locks that nobody lets go of, paths are no URLs."""

__all__: list[str] = []
