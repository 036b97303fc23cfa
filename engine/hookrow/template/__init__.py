"""The language of bodies and conditions. Pure: it knows values, no hooks and no payload's meaning."""

__all__: list[str] = []
