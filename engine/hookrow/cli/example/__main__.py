"""`python -m hookrow.cli.example FILE` makes the example database."""

from hookrow.cli.example.example import main

__all__: list[str] = []

main()
