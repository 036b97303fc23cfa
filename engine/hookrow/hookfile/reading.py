"""A file of hooks, read so that nothing in it can surprise: text by field, with the lines on which it stands.

Every value is text, whatever it looks like: the fields' own rules read `on`, `yes`, `10` and dates, so that YAML never
guesses a type. Only what is left empty, `~` or `null` is no value. Aliases, tags, doubled keys and several documents
are refused, as are files beyond a size or depth that hooks need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from hookrow.errors import InvalidImport, Problem
from hookrow.hook.fields import FIELD, HEADER_VALUE, SECRETS, Unfit, no_field
from hookrow.lang import Text

__all__ = ["FORMAT", "LIMIT", "Entry", "FileValue", "Sheet", "named", "read"]

FORMAT = "1"
LIMIT = 1024 * 1024
"""Bytes that a file may have: well over a thousand hooks."""
DEEPEST = 6
EMPTY = frozenset({"", "~", "null", "Null", "NULL"})
CODES = frozenset(FIELD) - {"key"} | {HEADER_VALUE}


@dataclass(frozen=True, slots=True)
class FileValue:
    """One value of the file: its text, None where it is left empty, and its line (from 1)."""

    text: str | None
    line: int


@dataclass(slots=True)
class Entry:
    """One hook of the file: what it names, by field. `revision`: the one that was exported, for a three-way merge."""

    key: str
    line: int
    values: dict[str, FileValue] = field(default_factory=dict)
    revision: int | None = None


@dataclass(slots=True)
class Sheet:
    """A whole file: its hooks by key, and what is wrong with it besides."""

    entries: dict[str, Entry] = field(default_factory=dict)
    together: dict[str, FileValue] = field(default_factory=dict)
    """What it says of events: whether their gates are asked together."""
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, line: int, what: str, text: Text | str) -> None:
        self.problems.append(Problem(named(line, what), text))


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping of the file, in its order; doubled keys are still there."""

    line: int
    items: tuple[tuple[FileValue, Node], ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list: hooks have no use for one."""

    line: int


Node = FileValue | Mapping | Sequence


def named(line: int, what: str) -> str:
    """Where a fault is: `line 12, stock.timeout`."""
    return str(Text("line {line}, {what}", line=line, what=what)) if what else str(Text("line {line}", line=line))


def fault(line: int, text: Text | str) -> InvalidImport:
    return InvalidImport([Problem(named(line, ""), text)])


def read(source: str | bytes) -> Sheet:
    """The hooks of a file, and its faults that leave the rest readable.

    Raises:
        InvalidImport: it is no YAML, too large, or of another form as a whole.
    """
    sheet = Sheet()
    root = tree(decoded(source))
    if not isinstance(root, Mapping):
        raise fault(1, Text('the file must begin with "hookrow: {format}" and "hooks:"', format=FORMAT))
    parts = once(root, "", sheet)
    for name, (line, _) in parts.items():
        if name not in ("hookrow", "hooks", "events"):
            sheet.refuse(line, name, Text("There is no such field."))
    version = parts.get("hookrow", (1, FileValue(None, 1)))[1]
    if not isinstance(version, FileValue) or version.text != FORMAT:
        raise fault(version.line, Text('the file must begin with "hookrow: {format}" and "hooks:"', format=FORMAT))
    if "hooks" not in parts:
        raise fault(1, Text('the file must begin with "hookrow: {format}" and "hooks:"', format=FORMAT))
    line, of_events = parts.get("events", (1, FileValue(None, 1)))
    if isinstance(of_events, Mapping):
        read_events(of_events, sheet)
    elif not isinstance(of_events, FileValue) or of_events.text is not None:
        sheet.refuse(line, "events", Text("An event's code belongs here, and together: true or false below it."))
    line, hooks = parts["hooks"]
    if isinstance(hooks, FileValue) and hooks.text is None:
        return sheet
    if not isinstance(hooks, Mapping):
        raise fault(line, Text('"hooks" needs a key for each hook, and its fields below'))
    for key, (where, fields) in once(hooks, "", sheet).items():
        entry(key, where, fields, sheet)
    return sheet


def read_events(events: Mapping, sheet: Sheet) -> None:
    """Take what is said of events into the sheet."""
    for code, (line, fields) in once(events, "events.", sheet).items():
        given = once(fields, f"events.{code}.", sheet) if isinstance(fields, Mapping) else {}
        for name, (where, value) in given.items():
            if name == "together" and isinstance(value, FileValue):
                sheet.together[code] = value
            else:
                sheet.refuse(where, f"events.{code}.{name}", Text("There is no such field."))
        if not given:
            sheet.refuse(line, f"events.{code}", Text("together: true or false belongs below it."))


def entry(key: str, line: int, fields: Node, sheet: Sheet) -> None:
    """Take one hook into the sheet."""
    try:
        FIELD["key"].read(key)
    except Unfit as unfit:
        sheet.refuse(line, key, unfit.text)
        return
    found = sheet.entries[key] = Entry(key, line)
    if not isinstance(fields, Mapping):
        sheet.refuse(line, key, Text("the hook's fields are missing below its key"))
        return
    for code, (where, value) in once(fields, f"{key}.", sheet).items():
        if not isinstance(value, FileValue):
            sheet.refuse(where, f"{key}.{code}", Text("It must be text."))
        elif code == "revision":
            if value.text is None or not (value.text.isascii() and value.text.isdigit() and len(value.text) < 10):
                sheet.refuse(where, f"{key}.{code}", Text("A whole number, as export wrote it."))
            else:
                found.revision = int(value.text)
        elif code not in CODES:
            sheet.refuse(where, f"{key}.{code}", no_field(code))
        elif code in SECRETS and value.text is None:
            sheet.refuse(where, f"{key}.{code}", Text("kept, none, env:NAME or file:PATH."))
        else:
            found.values[code] = value


def once(mapping: Mapping, prefix: str, sheet: Sheet) -> dict[str, tuple[int, Node]]:
    """The mapping's keys with their line and value; a doubled one is a fault."""
    found: dict[str, tuple[int, Node]] = {}
    for key, value in mapping.items:
        name = key.text or ""
        if name in found:
            sheet.refuse(key.line, prefix + name, Text("Given twice; first in line {n}.", n=found[name][0]))
        else:
            found[name] = (key.line, value)
    return found


def decoded(source: str | bytes) -> str:
    size = len(source) if isinstance(source, bytes) else len(source.encode("utf-8", "surrogatepass"))
    if size > LIMIT:
        raise fault(1, Text("the file is longer than {n} bytes", n=LIMIT))
    if isinstance(source, str):
        return source
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fault(source.count(b"\n", 0, error.start) + 1, Text("the file is not UTF-8")) from None


def tree(text: str) -> Node:
    """The file's one document.

    Raises:
        InvalidImport
    """
    events = safely(text)
    for event in events:
        if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            if isinstance(event, yaml.StreamEndEvent):
                raise fault(1, Text('the file must begin with "hookrow: {format}" and "hooks:"', format=FORMAT))
            break
    root = node(event, events, 1)
    for event in events:
        if not isinstance(event, yaml.DocumentEndEvent | yaml.StreamEndEvent):
            raise fault(line_of(event), Text("the file contains more than one document"))
    return root


def safely(text: str) -> Iterator[yaml.Event]:
    """The parser's events; what it can't read is told with its line."""
    try:
        # The events only: nothing is constructed of them, and there is no recursion that a file could drive.
        yield from yaml.parse(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise fault(line, Text("this is not YAML: {reason}", reason=error.problem or error.context or "")) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter two: an escape beyond Unicode
        raise fault(1, Text("this is not YAML: {reason}", reason=str(error).split("\n")[0])) from None


def line_of(event: yaml.Event) -> int:
    return 1 if event.start_mark is None else event.start_mark.line + 1


def node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
    """The part of the tree that begins with this event."""
    line = line_of(event)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise fault(line, Text("anchors and aliases (&, *) can't be used here"))
    if getattr(event, "tag", None) is not None:
        raise fault(line, Text("tags (!) can't be used here"))
    if depth > DEEPEST:
        raise fault(line, Text("nested too deeply"))
    if isinstance(event, yaml.ScalarEvent):
        plain = event.implicit[0]
        return FileValue(None if plain and event.value in EMPTY else event.value, line)
    if isinstance(event, yaml.SequenceStartEvent):
        for inner in events:
            if isinstance(inner, yaml.SequenceEndEvent):
                break
            node(inner, events, depth + 1)
        return Sequence(line)
    items: list[tuple[FileValue, Node]] = []
    for inner in events:
        if isinstance(inner, yaml.MappingEndEvent):
            break
        key = node(inner, events, depth + 1)
        value = node(next(events), events, depth + 1)
        if not isinstance(key, FileValue):
            raise fault(line_of(inner), Text("a field's name must be a string"))
        items.append((key, value))
    return Mapping(line, tuple(items))
