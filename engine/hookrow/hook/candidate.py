"""A candidate: changed fields of a hook, kept beside its own and asked in shadow until they are promoted or dropped.

docs/trusting.md tells how it is used. Which fields it may have, how it is kept, what stands in its way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hookrow.clock import from_ms, rfc3339
from hookrow.hook.checks import is_other_origin
from hookrow.hook.form import FIELD
from hookrow.hook.modes import WAITING, mode
from hookrow.lang import Text
from hookrow.payload import JsonObject, dumps
from hookrow.secrets.secret import Secret

__all__ = ["TRIED", "HookCandidate", "in_the_way"]

TRIED = (
    *("url", "timeout", "response_has_data", "body", "auth_login", "auth_password", "custom_header"),
    *("custom_header_value", "condition", "on_failure", "fallback_message", "signing_secret"),
)
"""The fields that can be tried: what makes the request, what makes the verdict. All else is no matter of an answer."""
SECRETS = ("auth_password", "custom_header_value", "signing_secret")
TOGETHER = ({"custom_header", "custom_header_value"}, {"auth_login", "auth_password"})
"""Fields that mean something only beside each other."""


@dataclass(frozen=True, slots=True)
class HookCandidate:
    """A hook's candidate. `at_ms` is when it was tried, in milliseconds since 1970; `who` did it.

    `revision` is that of the hook which the trial itself made: what was asked under an earlier one belongs to another
    candidate.
    """

    fields: Mapping[str, Any] = field(repr=False)
    """Those that differ. A secret is `Secret.kept()`: set, but not readable; None: removed."""
    revision: int
    at_ms: int
    who: str

    @property
    def at(self) -> datetime:
        """The same moment as an aware datetime in UTC."""
        return from_ms(self.at_ms)

    @classmethod
    def read(cls, kept: str | None) -> HookCandidate | None:
        """The candidate as its column holds it: secrets encrypted.

        Raises:
            ValueError, TypeError, LookupError: no Hookrow wrote it.
        """
        if kept is None:
            return None
        held = json.loads(kept)
        fields = held["fields"]
        if not isinstance(fields, dict) or not fields or not fields.keys() <= set(TRIED):
            raise ValueError("candidate")
        return cls(fields, int(held["revision"]), int(held["at_ms"]), str(held["who"]))

    @property
    def kept(self) -> str:
        """The column of one whose secrets are encrypted."""
        return dumps({"fields": dict(self.fields), "revision": self.revision, "at_ms": self.at_ms, "who": self.who})

    @property
    def encrypted(self) -> dict[str, str]:
        """Its encrypted values, by field."""
        return {name: self.fields[name] for name in SECRETS if self.fields.get(name) is not None}

    @property
    def hidden(self) -> HookCandidate:
        """The same without encrypted values, as it is handed out."""
        fields = {
            name: Secret.kept() if name in SECRETS and value is not None else value
            for name, value in self.fields.items()
        }
        return HookCandidate(fields, self.revision, self.at_ms, self.who)

    @property
    def shown(self) -> JsonObject:
        """Its fields as `--json` and revisions have them: of a secret only whether it is set."""
        return {name: {"set": value is not None} if name in SECRETS else value for name, value in self.fields.items()}

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {"fields": self.shown, "revision": self.revision, "at": rfc3339(self.at_ms), "by": self.who}


def met(candidate: HookCandidate, changed: Mapping[str, Any]) -> list[str]:
    """The candidate's fields that a change of the hook concerns as well."""
    concerned = set(changed)
    for pair in TOGETHER:
        if pair & concerned:
            concerned |= pair
    return [name for name in candidate.fields if name in concerned]


def in_the_way(candidate: HookCandidate, before: Mapping[str, Any], after: Mapping[str, Any]) -> Text | None:
    """Why a change of the hook can't leave its candidate as it is; None where it can.

    Args:
        before, after: the hook's columns.
    """
    changed = {name: value for name, value in after.items() if before[name] != value}
    if names := met(candidate, changed):
        labels = dict.fromkeys(str(FIELD[name.removesuffix("_value")].label) for name in names)
        return Text("its candidate changes the same: {fields}", fields=", ".join(labels))
    flags = (after["fire_and_forget"], after["wait_for_response"], after["response_has_data"])
    if "event" in changed or after["shadow"] or mode(*flags) not in WAITING:
        return Text("its candidate was tried on the hook as it is: blocking, of this event, not in shadow")
    url = candidate.fields.get("url")
    entered = [name for name in SECRETS if changed.get(name) is not None]
    moved = "url" in changed and is_other_origin(before["url"], after["url"])
    if (url is not None and entered and is_other_origin(after["url"], url)) or (moved and candidate.encrypted):
        return Text("secrets would be sent to another origin, by the hook or by its candidate")
    return None
