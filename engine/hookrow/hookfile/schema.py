"""The JSON Schema of a file of hooks, for editors and checks before an import (draft 2020-12)."""

from __future__ import annotations

from typing import Any

from hookrow.hook.fields import FIELDS, HEADER_VALUE, SECRETS, Field
from hookrow.hookfile.reading import FORMAT
from hookrow.store.configuration.settings import TOGETHER

__all__ = ["schema"]

REFERENCE: dict[str, Any] = {
    "type": "string",
    "pattern": "^(kept|none|env:.+|file:.+)$",
    "description": "kept: as the database has it; none; env:NAME or file:PATH: read at the import, then sealed",
}


def schema() -> dict[str, Any]:
    """What `hookrow import` takes: a shape for editors; the import itself checks more."""
    fields: dict[str, Any] = {"revision": {"type": "integer", "minimum": 1}}
    for field in FIELDS:
        if field.code == "key":
            continue
        fields[field.code] = REFERENCE if field.code in SECRETS else {**shape(field), "description": field.hint.en}
        if field.code == "custom_header":
            fields[HEADER_VALUE] = REFERENCE
    hook = {"type": "object", "properties": fields, "additionalProperties": False}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hooks of Hookrow",
        "type": "object",
        "properties": {
            "hookrow": {"const": int(FORMAT)},
            "events": {
                "type": ["object", "null"],
                "additionalProperties": {
                    "type": "object",
                    "properties": {"together": {"type": "boolean", "description": TOGETHER.en}},
                    "additionalProperties": False,
                    "required": ["together"],
                },
            },
            "hooks": {
                "type": ["object", "null"],
                "propertyNames": {"pattern": "^[a-z0-9][a-z0-9-]{0,63}$"},
                "additionalProperties": hook,
            },
        },
        "required": ["hookrow", "hooks"],
        "additionalProperties": False,
    }


def shape(field: Field) -> dict[str, Any]:
    """What a field's value may look like."""
    if field.kind == "flag":
        return {"type": "boolean"}
    if field.kind == "int":
        return {"type": "integer", "minimum": 0, "maximum": 9999}
    if field.kind == "seconds":
        return {"type": "number", "minimum": 0.1, "maximum": 30}
    if field.kind == "choice":
        return {"enum": [code for code, _ in field.choices]}
    if field.kind == "moment":
        return {"type": ["string", "null"]}
    if field.code == "custom_header":
        return {"type": "string", "pattern": "^[^:]*$"}
    return {"type": "string", **({"minLength": 1} if field.required else {})}
