"""Hooks as YAML: every field of each hook under its key, in the order in which the hooks run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from hookrow.core.hooks import Hooks
from hookrow.hook.fields import FIELDS, HEADER_VALUE
from hookrow.hook.together import PREFIX, events_together
from hookrow.hookfile.reading import FORMAT
from hookrow.hookfile.references import KEPT
from hookrow.safetext import UNSAFE, in_yaml

if TYPE_CHECKING:
    from hookrow.core.blocking import HookEngine
    from hookrow.core.engine import AsyncHookEngine
    from hookrow.hook.model import Hook

__all__ = ["export_hooks"]

HEADING = """\
# Hooks of Hookrow. Secrets are not in this file: «kept» leaves what the database has, «none» takes it away,
# env:NAME and file:PATH are read when the file is imported. What is not named here stays as it is.
"""


class Dumper(yaml.SafeDumper):
    """Texts of several lines are written as such."""


def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if UNSAFE.search(text.replace("\n", "").replace("\t", "")):
        style = '"'
    elif "\n" in text:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, represent_text)


def export_hooks(
    engine: HookEngine | AsyncHookEngine,
    *,
    event: str | None = None,
    keys: Collection[str] | None = None,
    revisions: bool = False,
) -> str:
    """All hooks, or one event's, or those of these keys, as YAML. Blocks.

    Args:
        revisions: write each hook's revision too; importing the file then merges with what was changed since, and
            refuses where both changed the same field.

    Raises:
        EventNotFound
    """
    hooks = [hook for hook in Hooks(engine.runtime).list(event) if keys is None or hook.key in keys]
    sheet: dict[str, Any] = {"hookrow": int(FORMAT)}
    if switches := {} if keys is not None else switched(engine.runtime.config().settings, event):
        sheet["events"] = switches
    sheet["hooks"] = {hook.key: entry(hook, revisions) for hook in hooks}
    text: str = yaml.dump(sheet, Dumper=Dumper, allow_unicode=True, sort_keys=False, width=120)
    # They stand in quoted texts only, where an escape means the same.
    return HEADING + in_yaml(text)


def switched(settings: Mapping[str, str], event: str | None) -> dict[str, dict[str, bool]]:
    """The events, or this one, of which it was said whether their gates are asked together."""
    together = events_together(settings)
    codes = (name.removeprefix(PREFIX) for name in sorted(settings) if name.startswith(PREFIX))
    return {code: {"together": code in together} for code in codes if event in (None, code)}


def entry(hook: Hook, revisions: bool) -> dict[str, Any]:
    """A hook's fields as plain values."""
    shown: dict[str, Any] = {"revision": hook.revision} if revisions else {}
    for field in FIELDS:
        value = getattr(hook, field.code)
        if field.code == "key":
            continue
        if field.secret:
            shown |= secret_of(hook, field.code)
        elif isinstance(value, datetime):
            shown[field.code] = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        elif isinstance(value, float) and value.is_integer():
            shown[field.code] = int(value)
        else:
            shown[field.code] = value
    return shown


def secret_of(hook: Hook, code: str) -> dict[str, Any]:
    """What stands for a secret. Of one that there is not nothing does: an import must not take away a later one."""
    if code == "custom_header":
        return {code: hook.custom_header, HEADER_VALUE: KEPT} if hook.custom_header else {}
    secret = getattr(hook, code)
    return {code: KEPT} if secret is not None and secret.is_set else {}
