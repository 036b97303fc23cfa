"""The schema's migrations, run by Alembic; they ship in the wheel."""

__all__: list[str] = []
