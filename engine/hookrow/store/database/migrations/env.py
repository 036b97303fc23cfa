"""Alembic's environment: it is handed a connection inside a transaction, and logs by our own loggers."""

from __future__ import annotations

from alembic import context

from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.schema import VERSION_TABLE

__all__: list[str] = []

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table=VERSION_TABLE,
    version_table_schema=PG_SCHEMA if connection.dialect.name == "postgresql" else None,
    transactional_ddl=True,
    transaction_per_migration=False,
    render_as_batch=True,
)
context.run_migrations()
