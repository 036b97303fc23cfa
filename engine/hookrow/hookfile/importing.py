"""A file of hooks brought into a database: compared first, field by field, then written in one transaction."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Connection

from hookrow.clock import from_ms
from hookrow.core.changes.handing import COLUMNS, hook_of
from hookrow.core.hooks import Hooks
from hookrow.core.insight.rehearsal import MOST, Rehearsal, rehearse
from hookrow.core.settings import change_setting, require_before
from hookrow.errors import (
    ChangedMeanwhile,
    EventNotFound,
    InvalidImport,
    InvalidSetting,
    InvalidTemplate,
    KeyProblem,
    KeyTaken,
)
from hookrow.hook.candidate import HookCandidate, in_the_way
from hookrow.hook.checks import check_flag, trim
from hookrow.hook.fields import FIELD, HEADER_VALUE, SECRETS, Here, Unfit, carried, clean, clean_change, not_carried
from hookrow.hook.stored import StoredHook
from hookrow.hook.together import PREFIX, events_together
from hookrow.hookfile.merging import merged
from hookrow.hookfile.outcome import EventChange, Imported, ImportStep, row_times
from hookrow.hookfile.reading import Entry, FileValue, Sheet, read
from hookrow.hookfile.references import resolve
from hookrow.lang import Text
from hookrow.secrets.secret import Secret
from hookrow.secrets.vault import Place
from hookrow.store import hooks as hookstore
from hookrow.store.configuration.revisions import Changing
from hookrow.store.configuration.settings import OFF, ON

if TYPE_CHECKING:
    from hookrow.core.blocking import HookEngine
    from hookrow.core.engine import AsyncHookEngine
    from hookrow.records import LogFilter
    from hookrow.store.configuration.cache import Config

__all__ = ["import_hooks", "rehearse_file"]

NO_EFFECT = Text("wait_for_response and response_has_data have no effect: fire_and_forget is on")
TRIES = 5
"""How often a change by somebody else in the same moment is taken in before it is told."""
URL_SECRET = Text("A file can't hold a login and password inside the URL: use auth_login and auth_password.")


def import_hooks(
    engine: HookEngine | AsyncHookEngine,
    source: str | bytes,
    *,
    prune: bool | Collection[str] = False,
    dry_run: bool = False,
    keep_secrets: bool = False,
    allow_source: bool = False,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Imported:
    """Bring the hooks of a file into the database, all of them or none. Blocks.

    A hook is known by its key. What the file does not name stays as it is, hooks and fields alike; a second import of
    the same file changes nothing. With a `revision` (see `export_hooks`) only what the file changed since then counts.

    Args:
        source: YAML as `export_hooks` writes it, at most 1 MiB.
        prune: remove the hooks that the file does not hold; of these only those whose keys are given here.
        dry_run: only say what would be done.
        keep_secrets: hooks whose URL gets another origin send their secrets there as well, where the file says `kept`.
        allow_source: any variable and any file of this user may be read; else variables `HOOKROW_SECRET_…` and those of
            `environ`, and files in `folder`.
        folder: from which `file:` references lead; the working folder where it is not given.
        environ: where `env:` references look; this process's variables where it is not given.

    Raises:
        InvalidImport: with a sentence for each fault and its line; nothing was changed.
        ChangedMeanwhile: others kept changing the same hooks.
        DatabaseReadOnly, KeyProblem, StorageError
    """
    sheet = read(source)
    importer = Importer(
        engine,
        sheet,
        folder or Path(),
        os.environ if environ is None else environ,
        keep_secrets=keep_secrets,
        anywhere=allow_source,
        own_variables=environ is not None,
    )
    tries = TRIES
    while True:
        steps = importer.plan(prune)
        done = importer.told(steps, applied=not dry_run)
        if dry_run or not done.changed:
            return done
        try:
            importer.write(steps)
            return done
        except (ChangedMeanwhile, KeyTaken):  # by somebody else, between our look and our transaction
            tries -= 1
            if not tries:
                raise


def rehearse_file(
    engine: HookEngine | AsyncHookEngine,
    source: str | bytes,
    wanted: LogFilter | None = None,
    *,
    folder: Path | None = None,
    limit: int = MOST,
    progress: Callable[[int, int], object] | None = None,
) -> list[Rehearsal]:
    """Take recorded firings through each hook that a file adds or changes, as `engine.rehearse` does. Blocks.

    Raises:
        InvalidImport: with a sentence for each fault and its line.
    """
    importer = Importer(  # nothing is sent, so it is no matter where the file's secrets come from
        engine, read(source), folder or Path(), os.environ, keep_secrets=True, anywhere=True, own_variables=False
    )
    steps = importer.plan(False)
    times = {each.event: each for each in row_times(importer.config, steps, importer.switches)}
    found = [
        rehearse(engine.runtime, each, wanted, limit=limit, progress=progress)
        for step in steps
        if (each := step.candidate()) is not None
    ]
    return [replace(each, row=times.get(each.row.event, each.row)) for each in found]


class Importer:
    """One import into one database."""

    def __init__(
        self,
        engine: HookEngine | AsyncHookEngine,
        sheet: Sheet,
        folder: Path,
        environ: Mapping[str, str],
        *,
        keep_secrets: bool,
        anywhere: bool,
        own_variables: bool,
    ) -> None:
        self.runtime: Final = engine.runtime
        self.hooks: Final = Hooks(engine.runtime)
        self.sheet = sheet
        self.folder = folder
        self.environ = environ
        self.keep_secrets = keep_secrets
        self.anywhere = anywhere
        self.own_variables = own_variables
        self.faults: Final = tuple(sheet.problems)
        self.config: Config = self.runtime.config()
        self.warnings: list[str] = []
        self.secrets: dict[tuple[str, str], Secret | None] = {}
        self.switches: dict[str, bool] = {}
        """The events of which the file says whether their gates are asked together."""

    def plan(self, prune: bool | Collection[str]) -> list[ImportStep]:
        """What differs from the database as it stands now.

        Raises:
            InvalidImport
        """
        self.runtime.cache.forget()
        self.config = self.runtime.config()
        self.warnings = []
        self.sheet.problems[:] = self.faults
        alive = {hook.key: hook for hook in self.config.hooks.values() if not hook.deleted}
        self.switches = dict(self.read_switches())
        steps = [self.step(entry, alive.get(entry.key)) for entry in self.sheet.entries.values()]
        if prune:
            gone = [hook for key, hook in alive.items() if key not in self.sheet.entries]
            if not isinstance(prune, bool):
                gone = [hook for hook in gone if hook.key in prune]
            steps += [ImportStep(hook.key, hook, removed=True) for hook in gone]
        if self.sheet.problems:
            raise InvalidImport(self.sheet.problems)
        return steps

    def read_switches(self) -> Iterator[tuple[str, bool]]:
        """What the file says of events, checked."""
        for event, value in self.sheet.together.items():
            try:
                require_before(self.runtime, event)
                yield event, check_flag(value.text)
            except (EventNotFound, InvalidSetting, Unfit) as error:
                text = error.problems[0].text if isinstance(error, InvalidSetting) else error.text
                self.sheet.refuse(value.line, f"events.{event}.together", text)

    def event_changes(self) -> tuple[EventChange, ...]:
        """The events that differ from the database."""
        now = events_together(self.config.settings)
        return tuple(
            EventChange(event, event in now, on) for event, on in self.switches.items() if on != (event in now)
        )

    def step(self, entry: Entry, stored: StoredHook | None) -> ImportStep:
        """Check one hook of the file against the one of its key."""
        given = self.given(entry, stored)
        here = Here(from_ms(self.runtime.clock.now_ms()), self.runtime.zone())
        if stored is None:
            current: dict[str, Any] = {}
            cleaned = clean({**given, "key": entry.key}, new=True, stored=True, here=here)
        else:
            now = hook_of(stored, 0)
            current = {code: getattr(now, code) for code in (*COLUMNS, *SECRETS)}
            cleaned = clean_change(current, given, stored=True, here=here)
        for problem in cleaned.problems:
            if problem.field in entry.values and problem.field not in given:
                continue  # refused already, so it is missing here
            line = entry.values[problem.field].line if problem.field in entry.values else entry.line
            self.sheet.refuse(line, f"{entry.key}.{problem.field}", problem.text)
        self.warnings += [f"{entry.key}: {note}" for note in cleaned.notes]
        values = {
            code: value
            for code, value in cleaned.values.items()
            if stored is None or self.differs(stored, code, value, current[code])
        }
        if "event" in values and "position" in cleaned.values:
            values["position"] = cleaned.values["position"]  # named by the file: not «after the new event's last»
        if stored is not None and entry.revision is not None and values:
            values = merged(self.sheet, entry, self.hooks.history(stored.id), current, values)
        if stored is not None and stored.tried is not None and values:
            self.beside_candidate(entry, stored.tried, current, values)
        named = {code: cleaned.values[code] for code in SECRETS if code in cleaned.values}
        if not self.keep_secrets and (taken := carried(current, {**named, **values})):
            line = entry.values["url"].line if "url" in entry.values else entry.line
            self.sheet.refuse(line, f"{entry.key}.url", not_carried(taken))
        whole = {**current, **cleaned.values}
        if not cleaned.problems:
            self.try_templates(entry, whole, values)
        elif "event" in given and "event" in whole:
            self.try_templates(entry, {**whole, "body": "", "condition": ""}, {})
        if whole.get("fire_and_forget") and (whole.get("wait_for_response") or whole.get("response_has_data")):
            self.warnings.append(f"{entry.key}: {NO_EFFECT}")
        sources = {
            code: str(entry.values[code].text)
            for code in SECRETS
            if code in entry.values and (entry.values[code].text or "").startswith(("env:", "file:"))
        }
        host = urlsplit(str(whole.get("url", ""))).netloc.rpartition("@")[2]
        return ImportStep(entry.key, stored, values, sources=sources, host=host)

    def beside_candidate(
        self, entry: Entry, tried: HookCandidate, current: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        """A hook's candidate stays where the change goes with it, as it does after an edit."""
        reason = in_the_way(tried, current, {**current, **values})
        if reason is None:
            stays = Text("its candidate stays, and is compared with the changed hook")
            self.warnings.append(f"{entry.key}: {stays}")
        else:
            self.sheet.refuse(
                entry.line, entry.key, Text("{reason}. Promote the candidate or drop it first.", reason=reason)
            )

    def given(self, entry: Entry, stored: StoredHook | None) -> dict[str, Any]:
        """The entry's values for the fields' own rules; secrets read from where they are."""
        given: dict[str, Any] = {}
        for code, value in entry.values.items():
            try:
                if code in SECRETS:
                    secret = self.secret(entry, code, value)
                    if secret is None or not secret.is_kept:
                        given[code] = secret
                    elif stored is None or getattr(stored, code) is None:
                        said = Text(
                            '{field} is "kept" in the file, but this database has none', field=f"{entry.key}.{code}"
                        )
                        self.warnings.append(str(said))
                elif code != "position" or trim(value.text or "") or stored is None:
                    given[code] = plain(code, value)
            except Unfit as unfit:
                self.sheet.refuse(value.line, f"{entry.key}.{code}", unfit.text)
        return without_nameless_header(given, stored)

    def secret(self, entry: Entry, code: str, value: FileValue) -> Secret | None:
        """What a reference means, read once an import."""
        place = (entry.key, code)
        if place not in self.secrets:
            text = value.text or ""
            anywhere = self.anywhere or (self.own_variables and text.startswith("env:"))
            self.secrets[place] = resolve(text, self.folder, self.environ, anywhere=anywhere)
        return self.secrets[place]

    def differs(self, stored: StoredHook, code: str, value: Any, current: Any) -> bool:
        """Whether the database holds something else; a secret is opened to see, and told to nobody."""
        if code not in SECRETS or not isinstance(value, Secret):
            return bool(value != current) if code not in SECRETS else (value is None) != (current is None)
        token = getattr(stored, code)
        if value.is_kept or token is None:
            return not value.is_kept
        try:
            known = self.runtime.vault.open(token, Place("hook", stored.uid, code))
        except KeyProblem:
            return True
        return not hmac.compare_digest(known.encode(), value.value.encode())

    def try_templates(self, entry: Entry, whole: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
        """The event must exist; a body or condition that changes must work on its example."""
        try:
            notes = self.hooks.check_templates(self.config, whole["event"], whole, only=changed)
            self.warnings += [f"{entry.key}: {note}" for note in notes]
        except (EventNotFound, InvalidTemplate) as error:
            code = error.problems[0].field if isinstance(error, InvalidTemplate) else "event"
            text = error.problems[0].text if isinstance(error, InvalidTemplate) else error.text
            line = entry.values[code].line if code in entry.values else entry.line
            self.sheet.refuse(line, f"{entry.key}.{code}", text)

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, steps: Sequence[ImportStep]) -> None:
        """All changes in one transaction, each upon the revision that was compared.

        Raises:
            ChangedMeanwhile, KeyTaken: nothing was changed.
        """
        author = self.runtime.author()
        changes = self.event_changes()
        prepared = []
        for step in steps:
            uid = hookstore.new_uid() if step.stored is None else step.stored.uid
            prepared.append((step, uid, *self.hooks.sealed(uid, step.values, step.stored)))

        changed = [step.stored for step in steps if step.stored is not None and (step.removed or step.values)]
        touched = {each.id: each.revision for each in changed}
        placed = {str(step.values["event"]) for step in steps if "event" in step.values}

        def job(connection: Connection) -> None:
            hookstore.hold(connection, touched, placed)
            hookstore.looked_at(connection, touched)
            for each in changes:
                change_setting(connection, author, f"{PREFIX}{each.event}", ON if each.after else OFF)
            for step in steps:
                if step.removed and step.stored is not None:
                    gone = {"deleted_ms": author.at_ms}
                    hookstore.change(connection, step.stored.id, gone, author, action="remove")
            for step, uid, values, resealed in prepared:
                if step.stored is None:
                    hookstore.create(connection, {**values, "uid": uid}, author, action="import")
                elif values:
                    hookstore.change(connection, step.stored.id, values, author, action="import", resealed=resealed)

        self.runtime.database.writer.write(Changing(author, job))
        self.runtime.cache.forget()

    def told(self, steps: Sequence[ImportStep], *, applied: bool) -> Imported:
        """The record of what was done."""
        return Imported(
            tuple(step.change() for step in steps),
            tuple(row_times(self.config, steps, self.switches)),
            tuple(dict.fromkeys(self.warnings)),
            applied,
            self.event_changes(),
        )


def plain(code: str, value: FileValue) -> Any:
    """A field's text as its rule reads it; what only a file can get wrong is refused here.

    Raises:
        Unfit
    """
    text = value.text
    if FIELD[code].kind == "flag":
        return check_flag(text)  # an empty one would be the default: a hook that is off would go on
    if text is None:
        return None
    if code == "url" and "@" in text.partition("://")[2].partition("/")[0].partition("?")[0]:
        raise Unfit(URL_SECRET)
    if code == "custom_header" and ":" in text:
        raise Unfit(Text("Only the header's name; its value is given by {field}.", field=HEADER_VALUE))
    if FIELD[code].kind == "moment" and not steady(code, text):
        raise Unfit(Text("In a file a time must mean the same on every day: 01.11.2026 00:00 or RFC 3339."))
    if FIELD[code].kind == "seconds":
        try:
            return float(text) if text.replace(".", "", 1).isdigit() else text
        except ValueError:
            return text
    return text


def steady(code: str, text: str) -> bool:
    """Whether a moment does not depend on the day on which it is read."""
    readings = set()
    for ms in (951_782_400_000, 1_795_597_200_000):  # a leap day, and a day of another month and year
        try:
            readings.add(FIELD[code].read(text, Here(from_ms(ms), from_ms(ms).tzinfo))[0])  # type: ignore[arg-type]
        except Unfit:
            return True  # whatever is wrong with it is told by the field
    return len(readings) == 1


def without_nameless_header(given: dict[str, Any], stored: StoredHook | None) -> dict[str, Any]:
    """A header whose value was to be kept and is not there: the name alone would be no header."""
    known = stored is not None and stored.custom_header_value is not None
    if given.get("custom_header") and not known and given.get(HEADER_VALUE) is None:
        return {**given, "custom_header": "", HEADER_VALUE: None}
    return given
