"""Why something happened or did not, as code and values: kept so, and said in the reader's language."""

__all__: list[str] = []
