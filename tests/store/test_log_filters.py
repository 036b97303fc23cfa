"""The log's filters on both databases: each combination gives what plain Python gives, and by an index."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event, func, insert, select, tuple_, update

from hookrow.ids import new_uid
from hookrow.records import FIRING_OUTCOMES, LogFilter
from hookrow.store.database.database import Database
from hookrow.store.database.tables import DELIVERIES, REVISIONS
from hookrow.store.hooks import Author, change, create
from hookrow.store.log import finding as log_ids
from hookrow.store.outbox.writing import NewDelivery, Rows, end_interrupted
from hookrow.words import REASONS
from outbox_rows import T0, add_hook
from schemas import ours

MINUTE = 60_000
EVENTS = ("before_order_add", "after_order_add", "on_subscription")
STATES = (
    *("blocked", "queued", "leased", "retrying", "parked", "ok", "sent", "dead", "cancelled", "dropped"),
    *("changed", "vetoed", "refused", "failed", "skipped"),
)
OWN = tuple((f"{kind}-{number}", event) for number, event in enumerate(EVENTS) for kind in ("busy", "seldom"))
MOVED = ("moved", EVENTS[1])
AUTHOR = Author("test", T0)
WORDS = ("100%", "a_b", "a\\b", "tea", "")


def made_hook(connection: Connection, key: str, event: str) -> int:
    """A hook with its first revision, as the front door makes it."""
    return create(connection, {"uid": key, "key": key, "name": key, "url": "http://a.example/", "event": event}, AUTHOR)


class Plain:
    """The log in plain lists."""

    def __init__(self, database: Database, chance: random.Random, count: int) -> None:
        # Each event has hooks of its own, one that is called seldom (its rows are what a scan would look for in vain),
        # and one that was of another event in the first half of the log.
        made = [partial(made_hook, key=key, event=event) for key, event in (*OWN, MOVED)]
        *own, self.moved = database.writer.write(lambda connection: [each(connection) for each in made])
        database.writer.write(lambda each: change(each, self.moved, {"event": EVENTS[2]}, AUTHOR))
        self.hooks = [*own, self.moved]
        self.count = count
        self.own = {event: [each for each, (_, its) in zip(own, OWN, strict=True) if its == event] for event in EVENTS}
        self.firings: list[dict[str, Any]] = [self.firing(chance, number) for number in range(count)]
        jobs = [Rows(each["at_ms"], each["row"], None, list(map(NewDelivery, each["rows"]))) for each in self.firings]
        written = database.writer.write(lambda connection: Rows.run_many(connection, jobs))
        for each, its in zip(self.firings, written, strict=True):
            each["id"] = its.firing
        database.writer.write(self.park)
        self.firings.sort(key=lambda each: each["id"], reverse=True)

    def park(self, connection: Connection) -> None:
        """What is written as parked while its hook is on is sent (its resumption was missed): it is parked here."""
        its = [(each["id"], row["seq"]) for each in self.firings for row in each["rows"] if row["state"] == "parked"]
        parked = tuple_(DELIVERIES.c.firing_id, DELIVERIES.c.seq).in_(its)
        connection.execute(update(DELIVERIES).where(parked).values(state="parked", due_ms=None))

    def firing(self, chance: random.Random, number: int) -> dict[str, Any]:
        at = T0 + number * MINUTE
        row = {"uid": new_uid(at), "event": chance.choice(EVENTS), "moment": "on", "at_ms": at, "deadline_ms": at}
        row |= {"payload": f'{{"word": "{chance.choice(WORDS)}"}}', "deferred": False}
        row["outcome"] = chance.choice((None, "allowed", "allowed", "allowed", *FIRING_OUTCOMES))
        its = self.own[row["event"]]
        if row["event"] == (EVENTS[1] if number < self.count // 2 else EVENTS[2]):
            its = [self.moved, *its]
        rows = [self.delivery(chance, its, seq) for seq in range(1, chance.randint(1, 3) + 1)]
        if row["outcome"] == "allowed" and any(each["state"] == "vetoed" for each in rows):
            row["outcome"] = "vetoed"
        return {"at_ms": at, "row": row, "rows": rows}

    def delivery(self, chance: random.Random, hooks: list[int], seq: int) -> dict[str, Any]:
        hook = chance.choices(
            hooks, [1 if number and number == len(hooks) - 1 else 20 for number in range(len(hooks))]
        )[0]
        row = {"seq": seq, "hook_id": hook, "hook_revision": 1, "position": seq, "mode": "notify"}
        row |= {"state": chance.choice((*STATES, "ok", "ok", "ok")), "attempts": chance.choice((0, 0, 2))}
        row |= {"status": chance.choice((None, 200, 200, 404, 500)), "body": chance.choice(WORDS)}
        row |= {"would": chance.choice((None, None, None, "veto", "allow")) if row["state"] == "ok" else None}
        row |= {"error": None if row["state"] in ("ok", "sent", "skipped") else chance.choice((None, "timeout"))}
        return row | {"skipped": chance.choice(("inactive", "expired")) if row["state"] == "skipped" else None}

    def ids(self, wanted: LogFilter, before: int | None, after: int | None, limit: int) -> list[int]:
        """What the log must answer."""
        found = [each["id"] for each in self.firings if holds(each, wanted)]
        found = [number for number in found if before is None or number < before]
        if after is not None:
            return [number for number in found if number > after][-limit:]
        return found[:limit]


def outcome_of(row: dict[str, Any]) -> str:
    """A delivery's state in the words of docs/reference/outcomes.md."""
    if row["state"] in ("blocked", "queued", "leased"):
        return "retrying" if row["attempts"] else "queued"
    return "cancelled" if row["state"] == "dropped" else str(row["state"])


def holds(firing: dict[str, Any], wanted: LogFilter) -> bool:
    """Every condition holds; those on a delivery for one and the same, unless the firing's own outcome is meant."""
    row = firing["row"]
    if wanted.event not in (None, row["event"]):
        return False
    if not (wanted.since_ms or 0) <= firing["at_ms"] < (wanted.until_ms or 1 << 62):
        return False
    if wanted.search is not None and not any(
        wanted.search in said for said in (row["payload"], *(each["body"] for each in firing["rows"]))
    ):
        return False
    low, high = {None: (0, 0), "404": (404, 404), "5xx": (500, 599), "2xx": (200, 299)}[wanted.code]
    its = [
        each
        for each in firing["rows"]
        if wanted.hook in (None, each["hook_id"])
        and wanted.would in (None, each["would"])
        and (wanted.code is None or (each["status"] is not None and low <= each["status"] <= high))
    ]
    if wanted.outcome is None:
        return bool(its)
    if wanted.outcome == "running":
        return bool(its) and row["outcome"] is None
    by_firing = bool(its) and row["outcome"] == wanted.outcome
    by_row = wanted.outcome != "allowed" and any(
        wanted.outcome in (outcome_of(each), said_error(each), each["skipped"]) for each in its
    )
    return by_firing or by_row


def said_error(row: dict[str, Any]) -> str | None:
    """The error that is shown of a delivery."""
    return row["error"] if outcome_of(row) in ("failed", "dead", "retrying") else None


def any_filter(chance: random.Random, plain: Plain) -> LogFilter:
    """Any combination, each part left out more often than not."""

    def maybe(*values: Any) -> Any:
        return chance.choice(values) if chance.random() < 0.4 else None

    since = maybe(*range(T0, T0 + 400 * MINUTE, 7 * MINUTE))
    return LogFilter(
        event=maybe(*EVENTS, "nothing"),
        hook=maybe(*plain.hooks, 999),
        outcome=maybe(
            *{outcome_of({"state": each, "attempts": 0}) for each in STATES},
            "retrying",
            "allowed",
            "running",
            "timeout",
            "expired",
            "no",
        ),
        since_ms=since,
        until_ms=maybe(*range(T0, T0 + 400 * MINUTE, 11 * MINUTE)),
        search=maybe("100%", "a_b", "0", "tea", "word"),
        code=maybe("404", "5xx", "2xx"),
        would=maybe("veto", "allow", "fail"),
    )


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.torture)])
@pytest.mark.parametrize(("slice_rows", "few"), [(20_000, 200), (17, 3)])
def test_every_filter_gives_what_plain_python_gives(
    database: Database, monkeypatch: pytest.MonkeyPatch, slice_rows: int, few: int, count: int
) -> None:
    """Random combinations of filter, page, direction and limit over 400 firings."""
    monkeypatch.setattr(log_ids, "SLICE_ROWS", slice_rows)
    monkeypatch.setattr(log_ids, "FEW", few)
    chance = random.Random(20261125)
    plain = Plain(database, chance, 400)
    for _ in range(count):
        wanted = any_filter(chance, plain)
        before = chance.choice((None, None, chance.choice(plain.firings)["id"]))
        after = chance.choice((None, None, chance.choice(plain.firings)["id"]))
        limit = chance.choice((1, 7, 50, 1000))
        with database.read() as connection:
            found = log_ids.ids(connection, wanted, before=before, after=after, limit=limit)
        assert found == plain.ids(wanted, before, after, limit), (wanted, before, after, limit)


@pytest.mark.parametrize("words", ["\ud800", "tea\0", "\0"])
def test_what_no_database_keeps_is_found_nowhere(database: Database, words: str) -> None:
    """Half a character (a byte of the command line that is no UTF-8) and NUL are no error."""
    Plain(database, random.Random(1), 3)
    with database.read() as connection:
        for wanted in (LogFilter(search=words), LogFilter(event=words)):
            assert log_ids.ids(connection, wanted) == []
            assert log_ids.search(connection, wanted).ids == []


def test_a_moment_beyond_all_ids_is_no_error(database: Database) -> None:
    """`--since 9999-12-31` finds nothing; before everything finds all."""
    plain = Plain(database, random.Random(1), 3)
    everything = [each["id"] for each in plain.firings]
    with database.read() as connection:
        assert log_ids.ids(connection, LogFilter(since_ms=253_402_300_799_999)) == []
        assert log_ids.ids(connection, LogFilter(until_ms=253_402_300_799_999)) == everything
        assert log_ids.ids(connection, LogFilter(since_ms=-(10**13))) == everything


# -- plans ------------------------------------------------------------------------------------------------------------

ROWS = 5000


@pytest.fixture(scope="module")
def large(module_database: Database) -> tuple[Database, int, int]:
    """5,000 firings, all well, of one hook; another one was called once. The ids of both hooks."""
    database = module_database
    busy, seldom = add_hook(database, "busy"), add_hook(database, "seldom")
    base = {"hook_revision": 1, "seq": 1, "position": 1, "mode": "notify", "state": "ok", "status": 200}

    def job(connection: Connection) -> None:
        rows = []
        for number in range(ROWS):
            at = T0 + number
            row = {"uid": new_uid(at), "event": "ef"[number % 2], "moment": "on", "at_ms": at}
            row |= {"deadline_ms": at, "payload": "{}"}
            hook = seldom if number == 7 else busy
            rows.append(Rows(at, {**row, "outcome": "allowed"}, None, [NewDelivery({**base, "hook_id": hook})]))
        Rows.run_many(connection, rows)

    database.writer.write(job)
    with database.write() as connection:
        connection.exec_driver_sql("ANALYZE")
    return database, busy, seldom


def statements(connection: Connection, ask: Callable[[Connection], Any]) -> list[tuple[str, Any]]:
    """Every statement that `ask` makes by way of SQLAlchemy, with its parameters."""
    asked: list[tuple[str, Any]] = []

    def remember(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if not statement.startswith("BEGIN"):
            asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", remember)
    ask(connection)
    event.remove(connection, "before_cursor_execute", remember)
    return asked


def plans(database: Database, ask: Callable[[Connection], Any]) -> list[str]:
    """How the database runs them."""
    with database.read() as connection:
        explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
        found = []
        for statement, parameters in statements(connection, ask):
            lines = connection.exec_driver_sql(explain + statement, parameters).all()
            found.append(" / ".join(str(line[-1]) for line in lines))
    return found


RARE = (
    *("vetoed", "failed", "cancelled", "queued", "retrying", "parked", "dead", "changed", "refused"),
    "no-such-word",
)


@pytest.mark.parametrize("with_more", [{}, {"since_ms": T0 + 5}], ids=str)
def test_what_is_rare_is_found_by_its_index(large: tuple[Database, int, int], with_more: dict[str, Any]) -> None:
    """An outcome that nobody had: no look at the rows that have none of it, on 5,000 rows as on 5 million."""
    database = large[0]
    for outcome in (*RARE, "running"):
        wanted = LogFilter(outcome=outcome, **with_more)
        told = plans(database, lambda connection, wanted=wanted: log_ids.ids(connection, wanted, limit=50))  # type: ignore[misc]
        assert told
        for plan in told:
            known = ("delivery_notable", "delivery_blocked", "firing_refused", "firing_event")
            assert any(name in plan for name in known), (outcome, plan)
            assert "Seq Scan" not in plan
            assert not plan.startswith("SCAN")


def test_answers_and_usual_outcomes_that_nobody_had_are_found_by_their_indexes(
    large: tuple[Database, int, int],
) -> None:
    """`skipped` and `sent` in a log without one: one look into an index, not one at every row; an answer too."""
    database = large[0]
    for outcome in ("skipped", "sent"):
        wanted = LogFilter(outcome=outcome)
        for plan in plans(database, lambda connection, wanted=wanted: log_ids.ids(connection, wanted, limit=50)):  # type: ignore[misc]
            assert "delivery_usual" in plan, (wanted, plan)
            assert not plan.startswith("SCAN")
    for code in ("404", "5xx"):
        assert looks(database, LogFilter(code=code)) < FEW_LOOKS
    for more in ({}, {"hook": large[1]}, {"event": "e"}, {"outcome": "ok"}, {"outcome": "vetoed"}):
        assert looks(database, LogFilter(would="veto", **more)) < FEW_LOOKS


def test_a_hook_and_an_event_are_found_by_their_indexes(large: tuple[Database, int, int]) -> None:
    """Also a hook that was called once, and an event that never was."""
    database, _, seldom = large
    for wanted, index in (
        (LogFilter(hook=seldom), "delivery_hook"),
        (LogFilter(hook=999), "delivery_hook"),
        (LogFilter(event="nothing"), "firing_event"),
    ):
        for before in (None, T0 << 20):
            ask = lambda c, w=wanted, b=before: log_ids.ids(c, w, before=b, limit=50)  # noqa: E731
            for plan in plans(database, ask):
                assert "Seq Scan" not in plan
                # PostgreSQL weighs by its statistics: for a short range of ids, or for outcomes that nobody had,
                # another index may be the better one.
                weighed = database.dialect == "postgresql" and (before or "firing_refused" in plan)
                assert index in plan or weighed, (wanted, plan)


def test_firings_whose_process_died_are_found_by_their_index(large: tuple[Database, int, int]) -> None:
    """The upkeep's look, as the writer makes it: no look at those that ended."""
    database = large[0]
    with database.write() as connection:
        had = {"hook_id": large[1], "revision": 1, "at_ms": T0, "who": "test", "action": "add"}
        connection.execute(insert(REVISIONS), [{**had, "event": each, "revision": n} for n, each in enumerate("ef")])
        explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
        [(statement, given)] = statements(connection, partial(end_interrupted, now_ms=T0))
        plan = " / ".join(str(line[-1]) for line in connection.exec_driver_sql(explain + statement, given))
        connection.execute(delete(REVISIONS).where(REVISIONS.c.who == "test"))
    assert "firing_event" in plan
    assert "Seq Scan on firing" not in plan
    assert "SCAN firing" not in plan


FEW_LOOKS = 600
"""A filter that finds nothing may look at so many rows, and at so many steps of SQLite's machine for each."""
STEPS = 15
MIXED = (("e", "ok", 200, "allowed", {}), ("f", "failed", 503, "failed", {"error": "bad_status"}))
MIXED += (("g", "sent", None, "allowed", {}), ("h", "skipped", None, "vetoed", {"skipped": "expired"}))


def looks(database: Database, wanted: LogFilter) -> float:
    """How many rows are looked at to find nothing. SQLite tells its steps, PostgreSQL the rows of each node."""

    def ask(connection: Connection) -> None:
        assert log_ids.ids(connection, wanted, limit=50) == []

    with database.read() as connection:
        if database.dialect == "sqlite":
            driver: Any = connection.connection.driver_connection
            steps = itertools.count()
            driver.set_progress_handler(lambda: next(steps) < 0, 1)
            ask(connection)
            driver.set_progress_handler(None, 0)
            return next(steps) / STEPS
        found = 0.0
        for statement, given in statements(connection, ask):
            explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
            found += rows_of(explained.scalar_one()[0]["Plan"])
        return found


def rows_of(node: dict[str, Any]) -> float:
    """The rows of a table that a node of a plan and those beneath it looked at."""
    seen = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    own = seen if node.get("Relation Name") in ("firing", "delivery") else 0
    return float(own + sum(map(rows_of, node.get("Plans", ()))))


@pytest.fixture
def mixed(database: Database) -> tuple[Database, list[int]]:
    """6,000 firings of four events in turn, each with a hook of its own and its own way to end; the hooks' ids."""
    hooks = [add_hook(database, each, event=each) for each, *_ in MIXED]

    def job(connection: Connection) -> None:
        rows = []
        for number in range(6000):
            at, hook, (code, state, status, outcome, why) = T0 + number, hooks[number % 4], MIXED[number % 4]
            row = {"uid": new_uid(at), "event": code, "moment": "on", "at_ms": at, "deadline_ms": at, "payload": "{}"}
            its = {"hook_revision": 1, "seq": 1, "position": 1, "mode": "notify", "state": state, "status": status}
            rows.append(Rows(at, {**row, "outcome": outcome}, None, [NewDelivery({**its, **why, "hook_id": hook})]))
        Rows.run_many(connection, rows)

    database.writer.write(job)
    # As PostgreSQL does by itself after a while. On a file the writer may be busy: it empties the WAL when it is idle.
    if database.dialect == "sqlite":
        with database.write() as connection:
            connection.exec_driver_sql("ANALYZE")
    else:
        with database.engine("write").connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("VACUUM ANALYZE")
    return database, hooks


@pytest.mark.parametrize("one_in", [pytest.param(4, id="check"), pytest.param(1, marks=pytest.mark.torture, id="all")])
def test_conditions_that_never_met_are_not_looked_for(mixed: tuple[Database, list[int]], one_in: int) -> None:
    """Each of two to four conditions holds for a quarter of the log, and no row fulfils all: some hundred looks. Of
    those with four, which have all that a triple has and one more, one in four is asked for."""
    database, hooks = mixed
    events, outcomes = ("e", "f", "g"), ("ok", "failed", "sent", "allowed", "vetoed", "dead", "bad_status", "inactive")
    asked, fours = 0, itertools.count()
    for given in itertools.product((None, *events), (None, *hooks[:3]), (None, *outcomes), (None, "200", "503", "404")):
        wanted = LogFilter(event=given[0], hook=given[1], outcome=given[2], code=given[3])
        met = any(meets(wanted, *each) for each in zip(hooks, MIXED, strict=True))
        if given.count(None) < 3 and not met and (None in given or next(fours) % one_in == 0):
            assert looks(database, wanted) < FEW_LOOKS, wanted
            asked += 1
    assert asked > 300


def test_a_reason_that_nobody_had_is_not_looked_for(mixed: tuple[Database, list[int]]) -> None:
    """Alone, of the hook that was always left out or always failed, and of its event; for each word that there is. And
    one that a single delivery had is found by the index of reasons."""
    database, hooks = mixed
    for outcome in set(REASONS) - {"expired", "bad_status"}:
        for more in ({}, {"hook": hooks[3]}, {"event": "h"}, {"hook": hooks[1]}, {"event": "f", "hook": hooks[1]}):
            assert looks(database, LogFilter(outcome=outcome, **more)) < 50, (outcome, more)
    one = database.writer.write(lambda connection: connection.execute(select(func.max(DELIVERIES.c.id))).scalar())
    database.writer.write(
        lambda connection: (
            connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == one).values(skipped="inactive")).rowcount
        )
    )
    wanted = LogFilter(outcome="inactive")
    with database.read() as connection:
        assert len(log_ids.ids(connection, wanted)) == 1
    assert all("delivery_reason" in plan for plan in plans(database, lambda each: log_ids.ids(each, wanted, limit=50)))


def meets(wanted: LogFilter, hook: int, kind: tuple[str, str, int | None, str, dict[str, str]]) -> bool:
    """Whether the firings of this kind fulfil the filter."""
    code, state, status, outcome, why = kind
    return (
        wanted.event in (None, code)
        and wanted.hook in (None, hook)
        and wanted.outcome in (None, state, outcome, *why.values())
        and wanted.code in (None, str(status))
    )


def test_a_page_reads_no_more_than_a_page(large: tuple[Database, int, int]) -> None:
    """Keyset pages: neither OFFSET nor COUNT, and no sorting of what the index has in order."""
    database = large[0]
    with database.read() as connection:
        middle = ours(connection, "SELECT id FROM main.firing ORDER BY id LIMIT 1 OFFSET 2500").scalar_one()
    for wanted in (LogFilter(), LogFilter(event="e"), LogFilter(hook=large[1])):
        ask = lambda c, w=wanted: log_ids.ids(c, w, before=middle, limit=50)  # noqa: E731
        for plan in plans(database, ask):
            assert "Seq Scan" not in plan
            assert "TEMP B-TREE" not in plan
            assert not plan.startswith("SCAN")


def test_a_search_gives_each_slice_as_it_is_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices follow one another without a gap to the log's end, empty ones too; together they are the whole answer."""
    monkeypatch.setattr(log_ids, "SLICE_ROWS", 9)
    plain = Plain(database, random.Random(3), 100)
    for wanted in (LogFilter(search="tea"), LogFilter(search="nowhere"), LogFilter(search="TEA", code="5xx")):
        found: list[int] = []
        shares: list[float] = []
        before: int | None = None
        while True:
            with database.read() as connection:
                part = log_ids.search(connection, wanted, before=before, limit=3)
            found += part.ids
            shares.append(part.share)
            before = part.before
            if before is None:
                break
        text = LogFilter(search=(wanted.search or "").lower(), code=wanted.code)
        assert found == plain.ids(text, None, None, 1000)
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1)
        assert len(shares) >= 10


@pytest.mark.parametrize("late_ms", [1_800_000, 10_800_000])
def test_until_finds_what_was_committed_late(database: Database, late_ms: int) -> None:
    """A firing counts by when it began, also where its row came half an hour later, or a clock was hours wrong."""
    at = T0 + 7200_000
    row = {"event": "e", "moment": "on", "deadline_ms": at, "payload": "{}", "outcome": "allowed"}

    def job(connection: Connection) -> list[int]:
        began = (at - late_ms, at)
        firings = [Rows(at + n, {**row, "uid": new_uid(at + n), "at_ms": ms}, None, []) for n, ms in enumerate(began)]
        return [written.firing for written in Rows.run_many(connection, firings)]

    late, last = database.writer.write(job)
    with database.read() as connection:
        assert log_ids.ids(connection, LogFilter(until_ms=at - 1_000_000)) == [late]
        assert log_ids.ids(connection, LogFilter(until_ms=at - 1_000_000), before=late) == []
        assert log_ids.ids(connection, LogFilter(until_ms=at + 1)) == [last, late]
        assert log_ids.ids(connection, LogFilter(until_ms=at + 1), limit=1) == [last]
        assert log_ids.ids(connection, LogFilter(until_ms=at + 1), after=0, limit=1) == [late]
        assert log_ids.search(connection, LogFilter(until_ms=at - 1_000_000, search="{")).ids == [late]
