"""One module a command. What several of them print or read stands in `show` and `read`."""

__all__: list[str] = []
