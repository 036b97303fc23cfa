"""Any reply to any hook: a result and a record, declared errors only, and no secret or private value anywhere.

Hypothesis makes the replies; every example fires a whole chain of hooks, of all modes, through the front door, and
looks through what was stored, logged and shown. `make torture` goes on for `HOOKROW_MINUTES` (1) with new examples in
rounds, each on a database of its own; `HOOKROW_SEED` repeats a run.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from hookrow import AsyncHookEngine, Hook
from hookrow.cli.app import run
from hookrow.errors import HookrowError
from scripted import HandClock, Network
from spelled import SPELLINGS, traces

PASSWORD = 'pa"ss/Пароль<&>7'
HEADER = "Bearer tok3n-abcdef/+="
TOKEN = "url-t0ken/&="
SIGNING = "whsec_" + "c2lnbmluZ3NlY3JldHNpZ25pbmdzZWNyZXQh"
PRIVATE = 's3cr"t/Канарейка<&>'
NUMBER = 48_151_623
SECRETS = {
    "auth_login": "admin",
    "auth_password": PASSWORD,
    "custom_header": f"X-Key: {HEADER}",
    "signing_secret": SIGNING,
}
HIDDEN = (PASSWORD, HEADER, HEADER[7:], TOKEN, SIGNING, f"admin:{PASSWORD}")
TRACES = {each for value in (*HIDDEN, PRIVATE) for each in traces(value)} | {str(NUMBER)}
PAYLOAD = {"user": {"id": 7, "name": "Anna", "comment": "", "password": {"old": PRIVATE, "pin": NUMBER, "on": True}}}
BEFORE, AFTER, ON = "before_registration", "after_registration", "on_subscription"
MODES: dict[str, dict[str, Any]] = {
    "gate": {"wait_for_response": True},
    "transform": {"wait_for_response": True, "response_has_data": True},
    "record": {"fire_and_forget": False, "response_has_data": True},
    "notify": {"fire_and_forget": False},
    "forget": {},
}
"""Every event has one hook of each."""

ODD = ["\ud83d", "\0", "\n", "&#", "%4", "\\u", "***"]
FAULTS = ['"\\ud800"', "NaN", "1e999", "-Infinity", "9" * 5000, "[" * 900 + "]" * 900, "[" * 3000, "x", "{,}"]
CHARSETS = ["utf-8", "utf-8", "utf-8", "utf-8-sig", "windows-1251", "koi8-r", "utf-16", "latin-1"]
KINDS = ["application/json", "application/json; charset={}", "text/html; charset={}", "text/plain", "", "text/x+json"]
STATUSES = [200, 200, 200, 204, 299, 302, 400, 403, 409, 409, 410, 422, 429, 500, 503, 600, 99]
BROKEN = [httpx.ReadError, httpx.ConnectTimeout, httpx.ReadTimeout, httpx.RemoteProtocolError, OSError]
SEPARATORS = b" \":;,()<>@[]{}\\/?=&%+'"


def spelled(value: str, spellings: list[str]) -> str:
    """The value in these spellings, one inside the other; what is in base64 is spelled in no further way."""
    for name in spellings:
        value = SPELLINGS[name](value)
        if name.startswith("base64"):
            break
    return value


def written(members: list[tuple[str, Any]], ascii_only: bool, faults: list[str]) -> str:
    """An object's text, doubled keys and faults and all."""
    parts = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=ascii_only)}" for key, value in members]
    parts += [f'"f{n}": {fault}' for n, fault in enumerate(faults)]
    return "{" + ", ".join(parts) + "}"


def script_of(status: int, kind: str, charset: str, body: str, header: str, broken: Any, cut: bool) -> Any:
    """A receiver that answers so, or breaks."""
    content = body.encode(charset, "surrogatepass" if charset.startswith("utf-8") else "replace")
    value = header.encode("utf-8", "replace").translate(None, b"\r\n\0")
    headers = [
        (b"content-type", kind.format(charset).encode()),
        (b"x-echo", value),
        (b"location", b"/x?a=" + quote(header, errors="replace").encode()),
        (value[:40].translate(None, SEPARATORS) or b"x-y", b"1"),
    ]

    async def stream() -> Any:
        yield content
        if cut:
            raise httpx.ReadError(f"cut {header}")

    def script(request: httpx.Request) -> httpx.Response:
        if broken is not None:
            raise broken(f"{header} broke")
        return httpx.Response(status, headers=headers, content=stream())

    return script


def replies(echoed: list[str]) -> st.SearchStrategy[Any]:
    """Receivers that repeat these values."""
    echo = st.builds(spelled, st.sampled_from(echoed), st.lists(st.sampled_from(list(SPELLINGS)), max_size=2))
    texts = st.lists(st.one_of(echo, st.text(max_size=6), st.sampled_from(ODD)), max_size=4).map("".join)
    numbers = [float(each) for each in echoed if each.isdigit()] or [5.0]
    leaf = st.one_of(
        texts,
        st.sampled_from([*numbers, *map(int, numbers)]),
        st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none(),
    )
    value = st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
    )
    user = st.dictionaries(st.sampled_from(["comment", "name", "password", "new"]), value, max_size=3)
    errors = st.lists(st.fixed_dictionaries({"path": texts, "code": texts, "message": texts}) | leaf, max_size=2)
    member = st.one_of(
        st.tuples(st.just("allow"), st.sampled_from([True, False, False, "false", 0, None])),
        st.tuples(st.sampled_from(["message", "code"]), texts),
        st.tuples(st.just("status"), st.sampled_from([409, 422, 599, 200, "x"])),
        st.tuples(st.just("errors"), errors),
        st.tuples(st.just("data"), st.fixed_dictionaries({"user": user}) | value),
        st.tuples(st.sampled_from(["result", "warnings", "x", "allow"]), value),
        st.tuples(texts, value),
    )
    faults = st.lists(st.sampled_from(FAULTS), max_size=1)
    an_object = st.builds(written, st.lists(member, max_size=5), st.booleans(), faults)
    between = st.tuples(texts, an_object, texts).map("".join)
    body = st.one_of(an_object, an_object, an_object, texts, between, value.map(json.dumps), st.just(""))
    return st.builds(
        script_of,
        st.sampled_from(STATUSES),
        st.sampled_from(KINDS),
        st.sampled_from(CHARSETS),
        body,
        texts,
        st.sampled_from([None] * 12 + BROKEN),
        st.sampled_from([False] * 7 + [True]),
    )


OURS = [*HIDDEN, "harmless", "Нет"]
UNSHOWN, SHOWN = replies(OURS), replies([*OURS, PRIVATE, PRIVATE, PRIVATE, str(NUMBER)])
"""Of receivers that know the hook's secrets alone, and of those that were sent private values as well."""
POLICY = (st.sampled_from(["continue", "stop"]), st.booleans())
EXAMPLE = st.one_of(
    st.tuples(
        st.sampled_from([BEFORE, BEFORE, AFTER]),
        st.fixed_dictionaries({mode: SHOWN if "wait_for_response" in how else UNSHOWN for mode, how in MODES.items()}),
        *POLICY,
    ),
    st.tuples(st.just(ON), st.fixed_dictionaries(dict.fromkeys(MODES, UNSHOWN)), *POLICY),
)


class Bench:
    """An engine whose receivers answer as the example says, and everything that it stores, logs and shows."""

    def __init__(self, folder: Path, log: io.StringIO) -> None:
        self.folder = folder
        self.log = log
        self.network = Network()
        self.loop = asyncio.new_event_loop()
        self.count = 0
        self.hooks: list[Hook] = []
        self.engine: AsyncHookEngine = self.wait(self.opened())

    def wait(self, awaited: Any) -> Any:
        return self.loop.run_until_complete(awaited)

    async def opened(self) -> AsyncHookEngine:
        """With hooks of every mode on each event, each with every secret there is."""
        engine = AsyncHookEngine(
            f"sqlite:///{self.folder}/hooks.db", worker=False, transport=self.network, clock=HandClock()
        )
        for event in (BEFORE, AFTER, ON):
            for mode, flags in MODES.items():
                url = f"http://receiver.test/{mode}?token={quote(TOKEN, safe='')}&x=1"
                hook = Hook(name=f"{event} {mode}", event=event, url=url, **flags, **SECRETS)
                self.hooks.append(await engine.hooks.add(hook))
        return engine

    def one(self, example: Any) -> None:
        """Fire one, and look at everything that it left behind."""
        event, replies, on_failure, keyed = example
        self.log.seek(0)
        self.log.truncate()
        self.count += 1
        for mode, script in replies.items():
            self.network.on(mode, script)
        self.network.requests.clear()
        said = self.wait(self.fired(event, on_failure, f"key-{self.count}" if keyed else None))
        said.append(self.log.getvalue())
        said += list(self.newest_cells())
        held = [(trace, text) for trace in TRACES for text in said if trace in text]
        assert not held, held[0]

    async def fired(self, event: str, on_failure: str, key: str | None) -> list[str]:
        engine = self.engine
        payload = {"user": {"id": 7}} if event == ON else PAYLOAD
        for hook in self.hooks:
            if hook.event == event:
                await engine.hooks.resume(hook.id or 0)
                if hook.mode in ("gate", "transform"):
                    await engine.hooks.update(hook.id or 0, on_failure=on_failure)
        try:
            firing = await engine.fire(event, payload, idempotency_key=key)
        except HookrowError as refused:
            return [str(refused)]
        asked = len(self.network.requests)
        logged = await engine.log.get(firing.id)
        attempts = [each for delivery in logged.deliveries for each in await engine.log.attempts(delivery.id)]
        assert logged.outcome == firing.outcome is not None
        assert len(attempts) == asked
        await engine.send_own(firing)
        logged = await engine.log.get(firing.id)
        attempts = [each for delivery in logged.deliveries for each in await engine.log.attempts(delivery.id)]
        assert len(attempts) == len(self.network.requests)
        shown = [
            firing.as_json(),
            logged.as_json(),
            [each.as_json() for each in logged.deliveries],
        ]
        bodies = [(each.response_body or b"").decode("utf-8", "replace") for each in attempts]
        return [json.dumps(shown, ensure_ascii=False), repr([logged, attempts, firing]), *bodies]

    def newest_cells(self) -> Iterator[str]:
        """The cells of the newest firing's rows, whatever their table."""
        with closing(sqlite3.connect(self.folder / "hooks.db")) as database, database:
            newest = database.execute("SELECT max(id) FROM firing").fetchone()[0]
            for query in (
                "SELECT * FROM firing WHERE id = ?",
                "SELECT * FROM delivery WHERE firing_id = ?",
                "SELECT * FROM attempt WHERE delivery_id IN (SELECT id FROM delivery WHERE firing_id = ?)",
            ):
                for row in database.execute(query, (newest,)):
                    for cell in row:
                        yield cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)

    def end(self) -> None:
        """What commands print of the last firings, and every byte of every file but the hooks' own columns."""
        firings = self.wait(self.engine.log.page(limit=2))
        self.wait(self.engine.close())
        self.loop.close()
        out = io.StringIO()
        where = ("--db", str(self.folder / "hooks.db"))
        with redirect_stdout(out), redirect_stderr(out):
            run([*where, "log", "--json"])
            for firing in firings:
                for more in ((), ("--json",), ("--http", "--yes")):
                    run([*where, "show", firing.id, *more])
                run([*where, "replay", firing.id, "--dry-run"])
                for delivery in firing.deliveries:
                    run([*where, "show", delivery.id, "--http", "--yes"])
                    run([*where, "fixture", delivery.id, "--yes"])
                    run([*where, "redeliver", delivery.id, "--dry-run", "--yes"])
        said = out.getvalue()
        assert firings
        assert firings[0].id in said
        assert not [trace for trace in TRACES if trace in said]


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A bench on a database of its own, every logger of ours at DEBUG."""
    folder.mkdir()
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    loggers = [logging.getLogger(name) for name in ("hookrow", "httpx", "asyncio")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.addHandler(handler)
        each.setLevel(logging.DEBUG)
    made = Bench(folder, log)
    try:
        yield made
        made.end()
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.removeHandler(handler)
            each.setLevel(level)


def fuzz(made: Bench, number: int, count: int) -> None:
    """So many examples of this seed."""
    unhurried = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=True,
        phases=[Phase.generate],
        suppress_health_check=unhurried,
    )
    @given(EXAMPLE)
    def test(example: Any) -> None:
        made.one(example)

    test()


def test_any_reply_gives_a_result_a_record_and_no_leak(tmp_path: Path) -> None:
    """The same examples at each run."""
    with bench(tmp_path / "check") as made:
        fuzz(made, 20_261_128, 14)


@pytest.mark.torture
def test_any_reply_for_minutes(tmp_path: Path) -> None:
    """Rounds of 300 examples until the time is over; the seed and the count are printed."""
    number = int(os.environ.get("HOOKROW_SEED") or random.SystemRandom().randrange(1_000_000))
    minutes = float(os.environ.get("HOOKROW_MINUTES", "1"))
    print(f"seed {number}")
    luck, began, done, rounds = random.Random(number), time.monotonic(), 0, 0
    while time.monotonic() - began < minutes * 60:
        with bench(tmp_path / str(rounds)) as made:
            fuzz(made, luck.randrange(1 << 32), 300)
        done += made.count
        rounds += 1
    print(
        f"seed {number}: {done} chains of five hooks in {rounds} rounds, {(time.monotonic() - began) / 60:.1f} minutes"
    )
