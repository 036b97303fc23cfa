"""What an import would do or did: each hook's changes, field by field, and how long its events' rows may take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hookrow.core.changes.handing import hook_of
from hookrow.core.insight.rehearsal import Candidate, RowTime
from hookrow.hook.fields import SECRETS
from hookrow.hook.modes import WAITING, mode
from hookrow.hook.stored import StoredHook
from hookrow.hook.together import Timing, events_together, longest, timing_of
from hookrow.store.configuration.cache import Config

__all__ = ["EventChange", "HookChange", "ImportStep", "Imported", "RowTime", "row_times"]

FLAGS = ("fire_and_forget", "wait_for_response", "response_has_data")
ASKING = frozenset({"event", "position", "condition", "body", *FLAGS})
"""What decides whether a hook is asked, and with what body."""
TIMING = frozenset({"event", "timeout", "active", "shadow", *FLAGS})
MOVING = frozenset({"position"})
"""What decides of the time only where gates are asked together."""


@dataclass(frozen=True, slots=True)
class HookChange:
    """What the import does to one hook: `add`, `change`, `remove` or `same`; its fields as (code, before, after).

    Values are plain JSON, a moment is RFC 3339, a secret only «set», «not set» or «replaced»; `sources` says of each
    secret that was read where it came from (`env:NAME`, `file:PATH`) and which host it is sent to.
    """

    key: str
    action: str
    fields: tuple[tuple[str, Any, Any], ...] = ()
    sources: tuple[tuple[str, str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "action": self.action,
            "fields": {code: [old, new] for code, old, new in self.fields},
            "sources": {code: {"from": source, "to": host} for code, source, host in self.sources},
        }


@dataclass(frozen=True, slots=True)
class EventChange:
    """What the import does to an event: whether its neighbouring gates are asked together, before and after."""

    event: str
    before: bool
    after: bool

    def as_json(self) -> dict[str, Any]:
        return {"event": self.event, "together": [self.before, self.after]}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or with `dry_run` would do."""

    changes: tuple[HookChange, ...]
    rows: tuple[RowTime, ...]
    """The events whose time may have changed."""
    warnings: tuple[str, ...]
    applied: bool
    events: tuple[EventChange, ...] = ()
    """The events that differ."""

    @property
    def changed(self) -> bool:
        """Whether anything differs from the database."""
        return bool(self.events) or any(each.action != "same" for each in self.changes)

    def as_json(self) -> dict[str, Any]:
        return {
            "changes": [each.as_json() for each in self.changes],
            "rows": [each.as_json() for each in self.rows],
            "warnings": list(self.warnings),
            "applied": self.applied,
            "events": [each.as_json() for each in self.events],
        }


@dataclass(slots=True)
class ImportStep:
    """One hook's part of the import: `stored` as it is, `values` checked fields that differ (all of a new hook's)."""

    key: str
    stored: StoredHook | None
    values: dict[str, Any] = field(default_factory=dict)
    removed: bool = False
    sources: dict[str, str] = field(default_factory=dict)
    """The references of secrets that were read."""
    host: str = ""
    """Where the hook's requests go."""

    def candidate(self) -> Candidate | None:
        """The hook as it would be, for a rehearsal; None where it would be asked as it is."""
        if self.removed or (self.stored is not None and not ASKING & set(self.values)):
            return None
        values: dict[str, Any] = {} if self.stored is None else {code: getattr(self.stored, code) for code in ASKING}
        values |= {code: value for code, value in self.values.items() if code in ASKING}
        own = mode(values["fire_and_forget"], values["wait_for_response"], values["response_has_data"])
        return Candidate(
            self.key,
            None if self.stored is None else self.stored.id,
            values["event"],
            values["position"] or 0,
            values["condition"],
            values["body"],
            own in WAITING,
        )

    def change(self) -> HookChange:
        """In words for people and programs."""
        if self.removed:
            return HookChange(self.key, "remove")
        if self.stored is None:
            shown = ((code, None, shown_of(code, value)) for code, value in self.values.items())
            added = tuple(each for each in shown if each[2] not in (None, "", "not set"))
            return HookChange(self.key, "add", added, self.read())
        old = hook_of(self.stored, 0)
        pairs = []
        for code, value in self.values.items():
            before = getattr(old, code)
            replaced = code in SECRETS and value is not None and before is not None
            pairs.append((code, shown_of(code, before), "replaced" if replaced else shown_of(code, value)))
        return HookChange(self.key, "change" if pairs else "same", tuple(pairs), self.read())

    def read(self) -> tuple[tuple[str, str, str], ...]:
        """The secrets that are new by this import: their field, where they were read, where they are sent."""
        return tuple((code, self.sources[code], self.host) for code in self.values if code in self.sources)


def shown_of(code: str, value: Any) -> Any:
    """A field's value as plain JSON."""
    if code in SECRETS:
        return "not set" if value is None else "set"
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value


def row_times(config: Config, steps: Iterable[ImportStep], switches: Mapping[str, bool]) -> Iterable[RowTime]:
    """The events whose waiting time may differ, in the catalogue's order.

    Args:
        switches: the events of which the file says whether their gates are asked together.
    """
    touched: set[str] = set(switches)
    moved: set[str] = set()
    after = {hook.id: hook for hook in config.hooks.values() if not hook.deleted}
    new: list[Mapping[str, Any]] = []
    for step in steps:
        if step.stored is None:
            touched.add(step.values["event"])
            new.append(step.values)
        elif step.removed:
            touched.add(step.stored.event)
            del after[step.stored.id]
        elif (TIMING | MOVING) & set(step.values):
            its = {step.stored.event, step.values.get("event", step.stored.event)}
            touched |= its if TIMING & set(step.values) else set()
            moved |= its
            values = {code: value for code, value in step.values.items() if code in TIMING | MOVING}
            changed = replace(step.stored, **values)
            after[step.stored.id] = replace(
                changed, mode=mode(changed.fire_and_forget, changed.wait_for_response, changed.response_has_data)
            )
    now = events_together(config.settings)
    for event in sorted(touched | moved, key=list(config.events).index):
        before = [timing_of(hook, idle=not hook.active) for hook in config.rows.get(event, ())]
        stay = sorted(
            (each for each in after.values() if each.event == event), key=lambda each: (each.position, each.id)
        )
        then = [timing_of(hook, idle=not hook.active) for hook in stay]
        last = max((turn.position or 0 for turn in then), default=0)
        # A new hook stands behind those of its position; without one behind all.
        then += [timing_of_new(values, last + 1) for values in new if values["event"] == event]
        then.sort(key=lambda turn: turn.position or 0)
        together = switches.get(event, event in now)
        time = RowTime(event, round(longest(before, event in now), 3), round(longest(then, together), 3))
        if event in touched or time.before != time.after:
            yield time


def timing_of_new(values: Mapping[str, Any], behind: int) -> Timing:
    """The turn of a hook that is not there yet."""
    own = mode(values["fire_and_forget"], values["wait_for_response"], values["response_has_data"])
    waits = values["active"] and own in WAITING and not values["shadow"]
    position = behind if values["position"] is None else values["position"]
    return Timing(position, own, values["shadow"], not values["active"], float(values["timeout"]) if waits else 0.0)
