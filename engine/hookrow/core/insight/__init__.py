"""What is asked about what was recorded: figures, conditions tried, private values looked for."""

__all__: list[str] = []
