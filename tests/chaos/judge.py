"""The judge of a run: what was promised is held against the receiver's own log, the callers' lines and the database."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from chaos.children import ASKED, GATE_TIMEOUT, WITHIN
from chaos.run import CANDIDATE, GATE, KILLED, SHADOW, Chaos
from hookrow.delivery.states import MOST_ATTEMPTS
from hookrow.ids import delivery_id
from hookrow.store.database.locks import FIRE, RECORD

__all__ = ["judged"]

TRIED = (SHADOW, CANDIDATE)
"""Asked once, or not at all where a worker was killed again; nobody obeys them."""
NEAR = 1.0
"""Seconds between a call's end and what its process's log says of it: they are two threads."""
IN_FLIGHT = {"sqlite": 2.0, "postgresql": 5.0}
"""Seconds within which a request may still come that left before its hook was switched off: on a server a process asks
once a second whether anything changed, and waits two for an answer."""


@dataclass(frozen=True)
class Request:
    """A line of the receiver's log."""

    name: str
    path: str
    number: int
    status: str
    moment: float
    digest: str
    call: str


@dataclass(frozen=True)
class Call:
    """A line of a caller: `returned`, `idle` (no hook), `refused` (a StorageError), `cancelled`, `interrupted`."""

    name: str
    word: str
    began: float
    elapsed: float
    bound: float
    lag: float
    told: tuple[str, ...]

    @property
    def ended(self) -> float:
        return self.began + self.elapsed

    @property
    def late(self) -> bool:
        return self.elapsed > self.bound + 10 * self.lag


@dataclass(frozen=True)
class Row:
    """A delivery, as the database has it in the end."""

    id: int
    hook: str
    state: str
    fence: int
    attempts: int
    order_key: str | None
    killed: bool


class History:
    """What is known of a run when it has ended."""

    def __init__(self, run: Chaos) -> None:
        self.run = run
        self.requests: dict[str, list[Request]] = defaultdict(list)
        for words in lines(run, "receiver.txt"):
            name, path, number, status, moment, digest, call = words
            made = Request(name, path.strip("/"), int(number), status, float(moment), digest, call)
            self.requests[name].append(made)
        self.unrecorded = self.told_in_logs()
        self.calls: dict[str, Call] = {}
        self.openings: list[Call] = []
        for name, word, began, elapsed, bound, lag, *told in lines(run, "calls.txt"):
            call = Call(name, word, float(began), float(elapsed), float(bound), float(lag), tuple(told))
            if name.startswith("open-"):
                self.openings.append(call)
            else:
                self.calls[name] = call
        self.rows: dict[str, Row] = {}
        for uid, seq, *row in run.place.ask(
            "SELECT f.uid, d.seq, d.id, CASE WHEN d.against IS NULL THEN h.key ELSE 'candidate' END, d.state, d.fence,"
            f" d.attempts, d.order_key, {KILLED.replace('delivery.id', 'd.id')}"
            " FROM delivery d JOIN firing f ON f.id = d.firing_id JOIN hook h ON h.id = d.hook_id"
            " WHERE d.state <> 'skipped' ORDER BY d.id"
        ):
            self.rows[delivery_id(uid, seq)] = Row(*row)
        firings = run.place.ask(f"SELECT payload, outcome FROM firing WHERE event = '{ASKED}'")
        self.outcomes: dict[str, str | None] = {json.loads(payload)["call"]: outcome for payload, outcome in firings}

    def excused(self, name: str) -> bool:
        """Whether a call was told that it may be unrecorded; or, cut short, its process's log said so."""
        call = self.calls.get(name)
        if call is None or call.word not in ("cancelled", "interrupted"):
            return call is not None and call.word == "refused"
        said = self.unrecorded[name.partition("-")[0]]
        return any(since - NEAR <= call.ended <= until + NEAR for since, until in said)

    def told_in_logs(self) -> dict[str, list[tuple[float, float]]]:
        """By process, from when to when its log said that firings could not be recorded."""
        found: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for line in self.run.nursery.errors().splitlines():
            moment, _, said = line.partition(" ")
            process, _, said = said.partition(" ")
            if said.startswith("firings could not be recorded:"):
                found[process].append((float(moment), float("inf")))
            elif said.startswith("firings are recorded again") and found[process]:
                found[process][-1] = (found[process][-1][0], float(moment))
        return found


def lines(run: Chaos, name: str) -> Iterable[list[str]]:
    """The words of each line of a file that children write."""
    path = run.folder / name
    return [each.split() for each in path.read_text().splitlines()] if path.exists() else []


UNMADE = re.compile(r"Exception ignored in: <function BaseEventLoop\.__del__.*?no attribute '_\w+'\n", re.DOTALL)
"""What Python says of a loop of asyncio that ctrl+c found half made."""


def judged(run: Chaos) -> dict[str, int | float]:
    """Hold the history; its figures."""
    history = History(run)
    twice = of_deliveries(history)
    told = of_callers(history)
    of_order(history)
    of_silences(history)
    slowest = of_waits(history)
    run.place.whole()
    said = UNMADE.sub("", run.nursery.errors())
    assert "Traceback" not in said, said
    assert not any(words in said for words in ("never retrieved", "task failed", "fault of Hookrow")), said
    words = Counter(call.word for call in history.calls.values())
    return {
        "deeds": sum(run.counts.values()),
        "deliveries": len(history.rows),
        "requests": sum(map(len, history.requests.values())),
        "calls": len(history.calls),
        **{word: words[word] for word in ("refused", "cancelled", "interrupted")},
        "lost": 0,
        "unrecorded": 0,
        "told": told,
        "twice": twice,
        "in_flight": len(run.in_flight),
        "slowest": round(slowest, 2),
        **{f"deed {name}": count for name, count in sorted(run.counts.items())},
    }


def of_deliveries(history: History) -> int:
    """Nothing is lost; nothing goes twice without a reason. How many were taken twice."""
    run, rows, came = history.run, history.rows, history.requests
    acknowledged = {name for [name] in lines(run, "acks.txt")}
    lost = acknowledged - set(rows)
    assert not lost, f"acknowledged, and not kept: {sorted(lost)[:5]}"
    due = {name for name, row in rows.items() if row.hook not in (*TRIED, GATE) and row.state != "cancelled"}
    unsent = due - set(came)
    assert not unsent, f"kept and never sent: {sorted(unsent)[:5]}"
    unkept = {name for name in set(came) - set(rows) if came[name][0].path != GATE}
    assert not unkept, f"sent and not kept: {sorted(unkept)[:5]}"
    again = 0
    for name in set(rows) & set(came):
        row, requests = rows[name], came[name]
        # A request on a kept connection that is cut before its answer goes once more, as the same attempt.
        cut = sum(each.status == "cut" for each in requests)
        assert {each.path for each in requests} == {row.hook}, f"one webhook-id, one hook: {name}"
        assert len({each.digest for each in requests}) == 1, f"one webhook-id, one body: {name}"
        if row.hook == GATE:
            assert len(requests) - cut <= 1, f"a hook that was waited for was asked twice: {name}"
            continue
        assert len(requests) - cut <= row.fence, f"sent without a claim of its own: {name}"
        assert row.attempts <= (1 if row.hook in TRIED else MOST_ATTEMPTS), name
        taken = [each for each in requests if each.status == "200" or (row.hook == "forget" and each.status != "cut")]
        given_up = row.state == "dead" and (row.killed or row.attempts == MOST_ATTEMPTS <= len(requests))
        assert taken or given_up or row.hook in ("forget", *TRIED), f"finished, and never taken: {name}"
        if len(taken) > 1:
            again += len(taken) - 1
            known = row.id in run.in_flight or run.speed > 1
            assert known, f"sent again without a reason: {name}, row {row.id}, {requests}"
    # Where clocks are fast a busy machine is late by them: leases lapse under those who hold them, and are taken over.
    late = sum(map(int, re.findall(r"(\d+) deliveries were taken over", run.nursery.errors())))
    assert again <= len(run.in_flight) + (late if run.speed > 1 else 0), "sent again without a reason"
    return again


def of_callers(history: History) -> int:
    """Whatever a caller's firing did is recorded, with its outcome; or its caller was told. How many were told."""
    told = set()
    for name, requests in history.requests.items():
        [path, call] = requests[0].path, requests[0].call
        if path == GATE and name not in history.rows:
            assert history.excused(call), f"unrecorded, and nobody was told: {name}, {history.calls.get(call)}"
            told.add(call)
    for call, outcome in history.outcomes.items():
        if outcome is None:
            assert history.excused(call), f"a firing without an outcome: {history.calls.get(call)}"
            told.add(call)
    for call in history.calls.values():
        if call.word == "returned" and "feeder" not in call.name:
            assert call.name in history.outcomes, f"returned, and not in the log: {call}"
        elif call.word == "refused" and history.run.speed == 1:
            assert history.run.ailing(call.began, call.ended) or crowded(call), f"refused without a reason: {call}"
    return len(told)


def crowded(call: Call) -> bool:
    """Whether the machine alone explains that a call did not get its turn to write in the time that it had.

    Six writers that held SQLite's lock for 0.12 s at most waited for it for up to 22 times the machine's lag.
    """
    whole = FIRE + WITHIN + RECORD + GATE_TIMEOUT
    had = FIRE if "feeder" in call.name or call.bound >= whole else RECORD  # of its own deadline nothing else was left
    return 20 * call.lag >= had


def of_order(history: History) -> None:
    """Of one order key nothing is sent before the one before it was taken, or given up."""
    before: dict[str, float] = {}
    for name, row in history.rows.items():
        if row.hook != "keyed" or row.order_key is None or row.state == "cancelled":
            continue
        requests = history.requests[name]
        first = min(each.moment for each in requests)
        assert first >= before.get(row.order_key, 0.0), f"an order key was overtaken: {name}"
        taken = [each.moment for each in requests if each.status == "200"]
        before[row.order_key] = min(taken, default=max(each.moment for each in requests))  # it was given up


def of_silences(history: History) -> None:
    """Nothing is sent to a hook that is off; a process that stood still may have been about to."""
    run = history.run
    allowed = IN_FLIGHT[run.place.kind]
    late = [
        each
        for path, since, until in run.silences
        for requests in history.requests.values()
        for each in requests
        if each.path in ((path, CANDIDATE) if path == GATE else (path,)) and since + allowed < each.moment < until
    ]
    assert len(late) <= run.counts.get("stop", 0), f"sent to a hook that was off: {late[:3]}"


def of_waits(history: History) -> float:
    """No wait was longer than its bound. The longest of a call, in seconds."""
    late = [call for call in (*history.calls.values(), *history.openings) if call.late]
    assert not late, f"longer than their bound: {late[:3]}"
    return max((call.elapsed for call in history.calls.values()), default=0.0)
