"""Hooks as code: written to YAML and read from it, without a secret in the file.

text = export_hooks(engine)
done = import_hooks(engine, text, prune=False, dry_run=True)
"""

from __future__ import annotations

from hookrow.hookfile.importing import import_hooks, rehearse_file
from hookrow.hookfile.outcome import EventChange, HookChange, Imported, RowTime
from hookrow.hookfile.reading import LIMIT
from hookrow.hookfile.schema import schema
from hookrow.hookfile.writing import export_hooks

__all__ = [
    "LIMIT",
    "EventChange",
    "HookChange",
    "Imported",
    "RowTime",
    "export_hooks",
    "import_hooks",
    "rehearse_file",
    "schema",
]
