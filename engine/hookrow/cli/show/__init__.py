"""What commands print: layout, words, lines. Nothing here opens a database."""

__all__: list[str] = []
