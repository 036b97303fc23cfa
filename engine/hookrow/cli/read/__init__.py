"""What people type: values, moments, filters, files. Nothing here prints data."""

__all__: list[str] = []
