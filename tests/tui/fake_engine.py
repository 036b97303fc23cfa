"""An engine in memory with the front door's names, and the hooks and firings of the drawn screens.

It decides nothing: it hands out records, keeps what it is told, and raises what the real one raises. A real
engine in its place would cost each test a thread and 17 ms of processor time at the least, against 1.5 (measured with
ten hooks in a copied file); test_real_engine.py holds its names and arguments to the real ones.
"""

from __future__ import annotations

import builtins
from array import array
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from screen_data import BODY, DAY, NOON_MS, ROWS, firings_of_the_screens, told

from hookrow.errors import ChangedMeanwhile, DeliveryNotFound, FiringNotFound, HookNotFound
from hookrow.events import Event, Events
from hookrow.hook.candidate import HookCandidate
from hookrow.hook.fields import mode
from hookrow.records import Attempt, Delivery, Firing, LogFilter, Revision
from hookrow.store.log.finding import Found
from hookrow.store.moving import Goal, numbers
from hookrow_tui.presenters import spans

__all__ = ["DAY", "NOON_MS", "ROWS", "FakeEngine", "hooks_of_the_screens"]

URL = "https://price.example.ru/discount"


class Secret:
    """A kept secret: set, not readable."""

    def __init__(self, is_set: bool) -> None:
        self.is_set = is_set


class FakeHook(SimpleNamespace):
    """A hook's attributes, as `hookrow.Hook` has them."""

    @property
    def mode(self) -> str:
        return mode(self.fire_and_forget, self.wait_for_response, self.response_has_data)

    def model_copy(self, *, update: dict[str, Any]) -> FakeHook:
        return self.copy(**update)

    def copy(self, **changes: Any) -> FakeHook:
        return FakeHook(**{**self.__dict__, **changes})


def made_hook(number: int, name: str, event: str, **values: Any) -> FakeHook:
    return FakeHook(
        **{
            "id": number,
            "key": f"hook-{number}",
            "name": name,
            "url": URL,
            "event": event,
            "position": 10,
            "timeout": 5.0,
            "valid_from": None,
            "valid_until": None,
            "active": True,
            "fire_and_forget": True,
            "wait_for_response": False,
            "response_has_data": False,
            "body": "",
            "auth_login": "",
            "auth_password": None,
            "custom_header": "",
            "custom_header_value": None,
            "signing_secret": None,
            "condition": "",
            "on_failure": "continue",
            "fallback_message": "",
            "order_key": "",
            "shadow": False,
            "revision": 1,
            "state": "on",
            "paused_reason": None,
            "paused_by": None,
            "paused_at": None,
            "deleted": False,
            "candidate": None,
            "notes": [],
            **values,
        }
    )


def hooks_of_the_screens(lang: str = "ru") -> list[FakeHook]:
    """The ten hooks of screens/hooks-*.txt; the fourth is that of screens/form-*.txt."""
    made = []
    for number, (name, event, position, timeout, flags, state, _, _) in enumerate(ROWS, 1):
        active, forget, wait, data = flags
        made.append(
            made_hook(
                number,
                told(name, lang),
                event,
                url=told(URL, lang),
                position=position,
                timeout=timeout,
                active=active,
                fire_and_forget=forget,
                wait_for_response=wait,
                response_has_data=data,
                state=state,
            )
        )
    made[8].valid_from = spans.clock() + timedelta(days=3, hours=1)
    made[3].__dict__.update(
        url=told(URL, lang) + "?v=2",
        valid_from=datetime(2026, 10, 31, 21, tzinfo=UTC),
        body=BODY,
        auth_login="b2b",
        auth_password=Secret(True),
        custom_header="X-Source",
        custom_header_value=Secret(True),
    )
    return made


SECRETS = ("auth_password", "custom_header_value", "signing_secret")
KEPT = ("id", "revision", "state", "notes", "deleted", "paused_at")


def public(row: FakeHook) -> dict[str, Any]:
    """A hook's fields as a revision keeps them."""
    kept = {code: value for code, value in row.__dict__.items() if code not in KEPT}
    for code, value in kept.items():
        if code == "candidate" and value is not None:
            kept[code] = value.shown
        elif code in SECRETS:
            kept[code] = {"set": value is not None}
        elif isinstance(value, datetime):
            kept[code] = value.isoformat().replace("+00:00", "Z")
    return {**kept, "deleted_at": DAY.isoformat() if row.deleted else None}


class FakeHooks:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.rows = {each.id: each for each in hooks_of_the_screens(engine.lang)}
        self.who = "olga@192.0.2.7"
        self.revisions = {
            number: [Revision(1, NOON_MS - 30 * 86_400_000, "olga", "add", None, public(row))]
            for number, row in self.rows.items()
        }

    def history(self, ref: int | str) -> builtins.list[Revision]:
        return self.revisions[self.get(ref).id][::-1]

    def rollback(self, ref: int | str, revision: int, *, current: int | None = None, keep_secrets: bool = False) -> Any:
        then = next(each for each in self.history(ref) if each.revision == revision).after or {}
        fields = ("name", "url", "timeout", "position", "body", "active", "condition", "on_failure")
        return self.update(ref, {code: then[code] for code in fields}, revision=current, action="rollback")

    def list(self, event: str | None = None, *, deleted: bool = False) -> list[FakeHook]:
        kept = [each for each in self.rows.values() if deleted or not each.deleted]
        return sorted((each for each in kept if event in (None, each.event)), key=lambda each: (each.position, each.id))

    def get(self, ref: int | str) -> FakeHook:
        for each in self.rows.values():
            if not each.deleted and ref in (each.id, each.key, each.name):
                return each
        raise HookNotFound(f"there is no hook {ref}")

    def add(self, hook: Any) -> Any:
        number = max(self.rows) + 1
        values = {code: getattr(hook, code) for code in self.rows[1].__dict__ if code not in ("id", "revision")}
        values["position"] = 10 if hook.position is None else hook.position
        name, event = values.pop("name"), values.pop("event")
        self.rows[number] = made_hook(number, name, event, **values)
        self.revisions[number] = [Revision(1, NOON_MS, self.who, "add", None, public(self.rows[number]))]
        self.engine.version += 1
        return self.rows[number]

    def update(
        self,
        ref: int,
        changes: Mapping[str, Any] | None = None,
        *,
        revision: int | None = None,
        stored: bool = False,
        keep_secrets: bool = False,
        drop_candidate: bool = False,
        **more: Any,
    ) -> Any:
        if drop_candidate:
            more["candidate"] = None
        action = more.pop("action", "edit")
        old = self.get(ref)
        if revision is not None and revision != old.revision:
            raise ChangedMeanwhile(f"the hook «{old.name}» was changed meanwhile", current=old)
        new = old.copy(**{**(changes or {}), **more}, revision=old.revision + 1)
        if new.state in ("on", "off"):
            new.state = "on" if new.active else "off"
        self.rows[old.id] = new
        after = public(new)
        for code in SECRETS:
            if (changes or {}).get(code) and after[code] == public(old)[code]:
                after[code] = {**after[code], "changed": True}
        at = NOON_MS - 3_600_000 + len(self.revisions[old.id]) * 60_000
        self.revisions[old.id].append(Revision(new.revision, at, self.who, action, public(old), after))
        self.engine.version += 1
        return new

    def try_candidate(self, ref: int, changes: Mapping[str, Any], **how: Any) -> Any:
        tried = HookCandidate(dict(changes), self.get(ref).revision + 1, NOON_MS, self.who)
        return self.update(ref, {"candidate": tried}, revision=how.get("revision"), action="try")

    def promote(self, ref: int, *, revision: int | None = None) -> Any:
        tried = self.get(ref).candidate
        values = {"shadow": False} if tried is None else {**tried.fields, "candidate": None}
        return self.update(ref, values, revision=revision, action="promote")

    def drop_candidate(self, ref: int, *, revision: int | None = None) -> Any:
        return self.update(ref, {"candidate": None}, revision=revision, action="drop_candidate")

    def preview(self, event: str, body: str, payload: Any = None) -> str:
        return body

    def example(self, event: str) -> dict[str, Any]:
        newest = self.engine.log.page(LogFilter(event=event), limit=1)
        return (newest[0].payload if newest else Events().get(event).sample) or {}

    def refused_address(self, url: str) -> str | None:
        return "169.254.169.254 никогда не вызывается" if "169.254." in url else None

    def remove(self, ref: int, *, revision: int | None = None) -> Any:
        return self.update(ref, deleted=True, revision=revision, action="remove")

    def move(self, ref: int, *, by: int) -> Any:
        rows = sorted((hook.position, hook.id) for hook in self.list(self.get(ref).event))
        for number, position in numbers(rows, ref, Goal(by=by)).items():
            self.update(number, position=position, action="move")

    def restore(self, ref: int) -> Any:
        self.rows[ref] = self.rows[ref].copy(deleted=False)
        return self.update(ref, action="restore")

    def pause(self, ref: int, reason: str = "") -> Any:
        return self.update(ref, paused_by="person", paused_reason=reason, state="paused", action="pause")

    def resume(self, ref: int) -> Any:
        return self.update(ref, paused_by=None, paused_reason=None, state="on", action="resume")

    def last_change(self) -> None:
        return None


class FakeLog:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.rows = firings_of_the_screens(engine.hooks.rows, engine.lang)
        self.tries: dict[str, list[Attempt]] = {}
        self.figures = SimpleNamespace(
            queue=3, oldest_due_ms=None, errors_last_hour=2, dead=0, paused=(), undrained=False
        )

    def data_version(self) -> int:
        return self.engine.version

    def summary(self) -> SimpleNamespace:
        return self.figures

    def hook_figures(self) -> dict[int, SimpleNamespace]:
        return {
            number: SimpleNamespace(
                calls=row[6],
                errors=row[7],
                last_status=200 if row[6] else None,
                last_ms=312 if row[6] else None,
                last_error=None,
                failing=0,
                last_at_ms=NOON_MS - number * 60_000 if row[6] else None,
            )
            for number, row in enumerate(ROWS, 1)
        }

    def statistics(self) -> dict[int, SimpleNamespace]:
        def figures(calls: int, errors: int) -> SimpleNamespace:
            times = {"p50_ms": 210, "p95_ms": 480} if calls else {"p50_ms": None, "p95_ms": None}
            return SimpleNamespace(calls=calls, errors=errors, since_ms=0, capped=False, **times)

        return {
            number: SimpleNamespace(
                day=figures(row[6], row[7]),
                week=figures(row[6] * 7, row[7] * 4),
                shadow=None,
                candidate=None,
                hours=tuple((row[6] * hour // 276, row[7] * (hour == 20)) for hour in range(24)),
            )
            for number, row in enumerate(ROWS, 1)
        }

    def chosen(self, wanted: LogFilter) -> list[Firing]:
        """Enough of the filter for the interface's tests: event, hook, outcome."""

        def fits(firing: Firing) -> bool:
            if wanted.event and firing.event != wanted.event:
                return False
            if wanted.hook and all(each.hook.id != wanted.hook for each in firing.deliveries):
                return False
            words = {firing.outcome, *(each.outcome for each in firing.deliveries)}
            return not wanted.outcome or wanted.outcome in words

        return [firing for firing in sorted(self.rows, key=lambda each: -each.row_id) if fits(firing)]

    def page(
        self, wanted: LogFilter | None = None, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> list[Firing]:
        kept = self.chosen(wanted or LogFilter())
        kept = [each for each in kept if before is None or each.row_id < before]
        return [each for each in kept if after is None or each.row_id > after][:limit]

    def ids(
        self,
        wanted: LogFilter | None = None,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 50_000,
    ) -> array[int]:
        return array("q", [each.row_id for each in self.page(wanted, before=before, after=after, limit=limit)])

    def newest_attempt(self) -> int:
        return 0

    def changed(self, wanted: LogFilter, *, after: int, before: int) -> list[int]:
        return []

    def search(self, wanted: LogFilter, *, before: int | None = None, limit: int = 1000) -> Found:
        ids = list(self.ids(wanted, before=before, limit=limit))
        return Found(ids, ids[-1] if len(ids) == limit else None, 1.0)

    def by_rows(self, row_ids: Any) -> list[Firing]:
        wanted = set(row_ids)
        return [each for each in self.chosen(LogFilter()) if each.row_id in wanted]

    def get(self, ref: str) -> Firing:
        for each in self.rows:
            if ref == each.id or any(ref == share.id for share in each.deliveries):
                return each
        raise FiringNotFound(f"there is no firing {ref}")

    def delivery(self, ref: str) -> Delivery:
        for each in self.rows:
            for share in each.deliveries:
                if share.id == ref:
                    return share
        raise DeliveryNotFound(f"there is no delivery {ref}")

    def attempts(self, ref: str) -> list[Attempt]:
        return self.tries.get(ref, [])

    def append(self, **changes: Any) -> Firing:
        """One more firing, newer than all: the newest one again, with these changes."""
        newest = max(self.rows, key=lambda each: each.row_id)
        number = newest.row_id + 1
        ident = f"evt_{number:016}"
        shares = [
            replace(share, id=f"msg_{ident[4:]}{share.seq:02}", firing_id=ident, at_ms=share.at_ms + 1000)
            for share in newest.deliveries
        ]
        fresh = {"id": ident, "row_id": number, "at_ms": newest.at_ms + 1000, "deliveries": shares}
        added = replace(newest, **{**fresh, **changes})
        self.rows.append(added)
        self.engine.version += 1
        return added


class FakeEvents:
    def list(self) -> list[Event]:
        return list(Events())


class FakeSettings:
    def __init__(self) -> None:
        self.switches: set[str] = set()

    def get(self, name: str) -> str:
        return {"timezone": "Europe/Moscow"}[name]

    def together(self) -> frozenset[str]:
        return frozenset(self.switches)

    def set(self, name: str, value: str) -> None:
        (self.switches.add if value == "on" else self.switches.discard)(name.removeprefix("together:"))

    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.get("timezone"))


class FakeEngine:
    """What `HookEngine(url, worker=False)` is to the interface. `calls` records what was asked of it."""

    def __init__(self, url: str = "sqlite:///fake.db", *, lang: str = "ru") -> None:
        self.url = url
        self.lang = lang
        self.path: Path | None = None
        self.read_only = False
        self.version = 1
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answers: dict[str, Callable[..., Any]] = {}
        self.hooks = FakeHooks(self)
        self.events = FakeEvents()
        self.log = FakeLog(self)
        self.settings = FakeSettings()

    def renew(self) -> None:  # the hooks of the beginning
        self.hooks, self.version = type(self)(self.url, lang=self.lang).hooks, self.version + 1
        self.hooks.engine = self

    def asked(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((name, args, kwargs))
        return self.answers[name](*args, **kwargs)

    def test(self, *args: Any, **kwargs: Any) -> Any:
        return self.asked("test", *args, **kwargs)

    def replay(self, *args: Any, **kwargs: Any) -> Any:
        return self.asked("replay", *args, **kwargs)

    def redeliver(self, *args: Any, **kwargs: Any) -> Any:
        return self.asked("redeliver", *args, **kwargs)

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        return self.asked("explain", *args, **kwargs)

    def last_payload(self, event: str) -> dict[str, Any] | None:
        newest = self.log.page(LogFilter(event=event), limit=1)
        return newest[0].payload if newest else None

    def condition_matches(self, event: str, condition: str, *, last: int = 50) -> Any:
        return self.asked("condition_matches", event, condition, last=last)

    def rehearse(self, hook: Any, **kwargs: Any) -> Any:
        return self.answers.get("rehearse", lambda *_, **__: SimpleNamespace(failed=0))(hook, **kwargs)

    def close(self, grace: float = 5) -> None:
        self.calls.append(("close", (), {}))
