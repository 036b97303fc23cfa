"""What screens say, without a screen: pure functions and plain data. No Textual here."""

__all__: list[str] = []
