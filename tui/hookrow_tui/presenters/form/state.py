"""What stands in the form, without a screen: texts by field, what changed, what is wrong, two people's edits merged.

A text is what a person typed; a flag is a bool. A secret is None while it stays as it is, '' to remove it, or the new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, TypeAlias

from hookrow.hook import fields
from hookrow.hook.checks import Unfit
from hookrow.hook.dates import Here
from hookrow.hook.dates import show as show_moment
from hookrow.hook.form import FIELD, FIELDS, Field
from hookrow.hook.modes import ROW_LIMIT, WAITING, Seconds, mode, mode_sentence
from hookrow.hook.together import Timing, longest, timing_of
from hookrow.lang import Text
from hookrow_tui.presenters.spans import span
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Hook

__all__ = [
    "FLAGS",
    "SECRETS",
    "Checked",
    "FormState",
    "Merged",
    "Texts",
    "Value",
    "field_remark",
    "longest_wait",
    "merge",
    "neighbours",
    "texts_of",
    "too_long",
]

SECRETS = frozenset(each.code for each in FIELDS if each.secret)
FLAGS = ("fire_and_forget", "wait_for_response", "response_has_data")

Value: TypeAlias = str | bool | None
Texts: TypeAlias = dict[str, Value]


def texts_of(hook: Hook | None, zone: tzinfo) -> Texts:
    """What the form shows for a hook; for a new one the document's own defaults."""
    texts: Texts = {}
    for each in FIELDS:
        value = each.default if hook is None else getattr(hook, each.code)
        if each.code in SECRETS:
            texts[each.code] = None
        elif each.kind == "flag":
            texts[each.code] = bool(value)
        elif each.code == "key" and hook is not None and hook.id is None:
            texts[each.code] = ""
        else:
            texts[each.code] = each.show(value, zone)
    return texts


@dataclass
class Checked:
    """What came of checking: values to write, a sentence by field at fault, remarks."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass
class FormState:
    """A form that is being filled in.

    `base` is what it began with; `hook` the stored hook that it edits, None for a new one or a copy.
    """

    base: Texts
    texts: Texts
    hook: Hook | None = None

    @classmethod
    def of(cls, hook: Hook | None, zone: tzinfo, *, copy: bool = False) -> FormState:
        """The form on a hook, on a copy of it, or on nothing."""
        texts = texts_of(hook, zone)
        if copy:
            texts |= dict.fromkeys(SECRETS, "") | {"key": "", "position": ""}
            texts["name"] = str(Say("{name} (copy)", name=texts["name"]))[:120]
        return cls(dict(texts), dict(texts), None if copy else hook)

    @property
    def changed(self) -> list[str]:
        """The fields that differ from what the form began with."""
        return [code for code in self.texts if self.texts[code] != self.base[code]]

    def checked(self, here: Here) -> Checked:
        """Check what would be written: all of a new hook, the changes of a stored one."""
        if self.hook is None:
            given: Texts = {
                code: value for code, value in self.texts.items() if value is not None and not is_removed(code, value)
            }
            cleaned = fields.clean(given, new=True, stored=True, here=here)
        else:
            given = {code: None if is_removed(code, self.texts[code]) else self.texts[code] for code in self.changed}
            if any(code in FLAGS for code in given):
                given |= {code: self.texts[code] for code in FLAGS}
            cleaned = fields.clean_change(current_values(self.hook), given, stored=True, here=here)
        problems: dict[str, str] = {}
        for problem in cleaned.problems:
            problems.setdefault(problem.field, str(problem.text))
        return Checked(cleaned.values, problems, [str(note) for note in cleaned.notes])

    def carried(self, values: Mapping[str, Any]) -> list[str]:
        """The fields whose kept secrets these changes would send to another origin."""
        found = () if self.hook is None else fields.carried(current_values(self.hook), values)
        return ["custom_header" if code == fields.HEADER_VALUE else code for code in found]

    @property
    def mode(self) -> str:
        return mode(*(bool(self.texts[code]) for code in FLAGS))

    def number(self, code: str, otherwise: float) -> float:
        """A number field's value while it is being typed."""
        try:
            value = FIELD[code].read(self.texts[code])[0]
        except Unfit:
            return otherwise
        return otherwise if value is None else float(value)

    def sentence(self, moment: str) -> str:
        """The mode as a sentence (docs/concepts.md)."""
        timeout = self.number("timeout", 5.0)
        shadow = bool(self.texts["shadow"])
        return str(mode_sentence(self.mode, timeout, str(self.texts["on_failure"]), moment, shadow=shadow))

    def overruled(self) -> list[str]:
        """The flags that stand but have no effect."""
        if not self.texts["fire_and_forget"]:
            return []
        return [code for code in FLAGS[1:] if self.texts[code]]


def is_removed(code: str, value: Value) -> bool:
    """Whether a field's text stands for a secret that is to be gone."""
    return FIELD[code].kind == "secret" and value == ""


def current_values(hook: Hook) -> dict[str, Any]:
    """A stored hook's values by field code, and the header's value."""
    values = {each.code: getattr(hook, each.code) for each in FIELDS}
    return {**values, "custom_header_value": hook.custom_header_value}


def field_remark(each: Field, text: Value, here: Here) -> tuple[str, str]:
    """What there is to say about one field while it is typed: what is wrong, and how it was understood."""
    if not text and (each.secret or each.required):
        return "", ""  # an empty form is no mistake yet
    try:
        value, note = each.read(text, here)
    except Unfit as fault:
        return str(fault.text), ""
    if note is not None:
        return "", str(note)
    return "", moment_remark(value, str(text), here) if each.kind == "moment" and value is not None else ""


def moment_remark(value: datetime, text: str, here: Here) -> str:
    """The moment that was understood, with its offset, and how far away it is."""
    shown = show_moment(value, here.zone)
    away = (value - here.now.replace(second=0, microsecond=0)).total_seconds()  # as «+2h» is counted
    far = Say("in {span}", span=span(away)) if away >= 0 else Say("this is in the past")
    return f"{far}" if text == shown else f"= {shown}, {far}"


def neighbours(hooks: Iterable[Hook], state: FormState) -> list[tuple[int, str]]:
    """Position and name of the event's hooks with this one in its place, in the order in which they run."""
    own = state.hook.id if state.hook is not None else None
    rest = [each for each in hooks if each.event == state.texts["event"] and each.id != own]
    last = max((each.position or 0 for each in rest), default=0)
    position = int(state.number("position", last // 10 * 10 + 10))
    name = str(state.texts["name"]) or str(Say("this hook"))
    row = [(each.position or 0, each.id or 0, each.name) for each in rest]
    row.append((position, own if own is not None else 1 << 62, name))
    return [(place, called) for place, _, called in sorted(row)]


def longest_wait(hooks: Iterable[Hook], state: FormState, together: Collection[str] = ()) -> float:
    """Seconds that the event's blocking hooks may take, this one included.

    Args:
        together: the events whose gates are asked at the same time.
    """
    own = state.hook.id if state.hook is not None else None
    rest = [each for each in hooks if each.event == state.texts["event"] and each.id != own]
    last = max((each.position or 0 for each in rest), default=0)
    position = int(state.number("position", last // 10 * 10 + 10))
    active, shadow = bool(state.texts["active"]), bool(state.texts["shadow"])
    waits = active and state.mode in WAITING and not shadow
    mine = Timing(position, state.mode, shadow, not active, state.number("timeout", 5.0) if waits else 0.0)
    places = [(each.position or 0, each.id or 0, timing_of(each, idle=not each.active)) for each in rest]
    places.append((position, own if own is not None else 1 << 62, mine))
    return longest((turn for _, _, turn in sorted(places)), state.texts["event"] in together)


def too_long(seconds: float) -> Text:
    """The warning before saving a row that the deadline may cut off."""
    return Say(
        "The blocking hooks of this event may take {worst} s together, but an operation waits {limit} s at "
        "most: the last ones may not be called.",
        worst=Seconds(seconds),
        limit=Seconds(ROW_LIMIT),
    )


@dataclass(frozen=True)
class Merged:
    """Two people's edits of one hook: what both can have, and the fields where they disagree."""

    texts: Texts
    conflicts: Sequence[str]
    theirs_only: Sequence[str]


def merge(
    base: Mapping[str, Value],
    mine: Mapping[str, Value],
    theirs: Mapping[str, Value],
    *,
    also: Collection[str] = (),
) -> Merged:
    """Three-way merge by field. In a conflict `texts` holds mine until the person decides.

    Args:
        also: secrets that the others replaced or removed: their text does not tell.
    """
    texts: Texts = dict(mine)
    conflicts, taken = [], []
    for code, value in theirs.items():
        if code not in also and value in (base[code], mine[code]):
            continue
        if mine[code] == base[code]:
            texts[code] = value
            taken.append(code)
        else:
            conflicts.append(code)
    return Merged(texts, conflicts, taken)
