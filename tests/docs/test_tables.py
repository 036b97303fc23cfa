"""The tables of replies, failures and stops in docs/ say what the engine does."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from chaos.figures import on_page
from hookrow import Hook
from hookrow.testing import MemoryEngine
from receivers.bodies import BODIES, REPLIES
from receivers.case import Case
from receivers.connections import CONNECTIONS, HEADS
from scripted import Network, Script, answer

DOCS = Path(__file__).parents[2] / "docs"
EVENT = "before_order_add"
PAYLOAD = {"order": {"sum": 100}}


def rows(page: str, mark: str) -> dict[str, list[str]]:
    """The table under this mark, by its first column."""
    text = (DOCS / page).read_text("utf-8")
    table = text[text.index(f"<!-- table: {mark} -->") :].partition("\n\n")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.split("\n")[3:]]
    return {first: rest for first, *rest in lines}


NO = {"allow": False, "message": "no"}
LONG = b'{"allow": false, "message": "' + b"x" * 2**21 + b'"}'
TEXT = {"content_type": "text/plain"}
REPLY_ROWS: dict[str, list[Script]] = {
    "410, whatever its length or body": [answer(410), answer(410, NO), answer(410, LONG)],
    "longer than `reply_limit` (1 MiB): 2xx, or a 4xx that begins with a veto": [answer(200, LONG), answer(403, LONG)],
    '2xx or other 4xx, JSON object with `"allow": false`': [answer(200, NO), answer(201, NO), answer(403, NO)],
    "any other 4xx or 5xx": [answer(403, b"<html>", **TEXT), answer(404), answer(500, NO), answer(503, LONG)],
    "3xx": [answer(301, location="http://receiver.test/"), answer(304), answer(302, NO)],
    "2xx, `allow` neither `true` nor `false`": [answer(200, {"allow": "yes"}), answer(200, {"allow": None})],
    "2xx, invalid JSON with a JSON content type": [answer(200, b"{"), answer(200, b"ok")],
    "2xx, empty": [answer(200), answer(204), answer(200, b" \n")],
    "2xx, JSON object": [answer(200, {"data": {"order": {"sum": 90}}}), answer(201, {"allow": True, "result": 5})],
    "2xx, anything else": [answer(200, b"ok", **TEXT), answer(200, b"[1]"), answer(200, b"7")],
}  # fmt: skip


def test_the_table_of_chaos_is_that_of_its_runs() -> None:
    """docs/contributing/reliability.md adds up what stands in chaos.jsonl."""
    page = DOCS / "contributing" / "reliability.md"
    wanted = on_page(page.read_text("utf-8"))
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(wanted, "utf-8")
    assert page.read_text("utf-8") == wanted


def said_of(engine: MemoryEngine, mode: str) -> str:
    """What the event gives with one hook of this mode, in the words of the table."""
    firing = engine.fire(EVENT, PAYLOAD)
    [delivery] = firing.deliveries
    hook = engine.hooks.get("hook")
    if delivery.outcome == "vetoed":
        return "veto"
    if delivery.error:
        paused = ", and the hook is paused" if hook.state == "paused" else ""
        return f"fails with `{delivery.error}`{paused}"
    used = firing.has_result or firing.data != PAYLOAD
    ignored = any("response_has_data" in str(each) or "`data`" in str(each) for each in firing.warnings)
    if used:
        return "allowed; `data` and `result` are used"
    return "allowed; `data` and `result` are ignored with a warning" if ignored else "allowed"


def test_the_table_of_replies_has_these_rows() -> None:
    """Each of the page's, none that the page has not."""
    assert list(rows("receivers.md", "replies")) == list(REPLY_ROWS)


@pytest.mark.parametrize("row", REPLY_ROWS)
@pytest.mark.parametrize("mode", ["gate", "transform"])
def test_a_reply_means_what_the_page_says(row: str, mode: str) -> None:
    """Every example of a row, on a real engine."""
    gate, transform = rows("receivers.md", "replies")[row]
    wanted = gate if mode == "gate" or transform == "same" else transform
    scripts = {f"stock{number}": script for number, script in enumerate(REPLY_ROWS[row])}
    with MemoryEngine(transport=Network(**scripts)) as engine:
        for place in scripts:
            engine.hooks.add(
                Hook(
                    key="hook",
                    name="Hook",
                    event=EVENT,
                    url=f"http://receiver.test/{place}",
                    wait_for_response=True,
                    response_has_data=mode == "transform",
                )
            )
            assert said_of(engine, mode) == wanted
            engine.hooks.remove("hook")


FAILURE_ROWS: dict[str, tuple[str, ...]] = {
    "doesn't accept, stalls in TLS, doesn't answer or sends its headers too slowly": (
        *("reads and never answers", "never stops reading", "drips the head", "an interim answer and nothing more"),
    ),
    "closes the connection before its headers are complete": (
        *("closes at once", "RST after the request", "closes in the head", "an interim answer, then closed"),
    ),
    "doesn't speak HTTP, sends a status outside 200–599, or more than 64 KiB of headers (interim responses included)": (
        *("no HTTP at all", "HTTP/0.9", "status 99", "status 600", "a thousand headers", "endless interim answers"),
    ),
    "sends its body too slowly, cuts it off or corrupts it": (
        *("drips the body", "closes in the body", "RST in the body", "broken gzip", "a chunk of 2^64 later"),
    ),
    "sends an oversized or endless body": ("100 MB", "a body without end", "a gzip bomb"),
    "redirects": ("301 inside", "302 inside", "a redirect to itself"),
}
CASES: dict[str, Case] = {**CONNECTIONS, **HEADS, **BODIES, **REPLIES}


def test_the_table_of_failures_says_what_receivers_get() -> None:
    """In the words of the matrix of receivers, which tests/engine/test_hostile_receivers.py plays to a real engine."""
    table = rows("receivers.md", "failures")
    only_with_certificates = {"has an untrusted certificate, or no TLS 1.2"}
    assert set(table) - only_with_certificates == set(FAILURE_ROWS)
    for row, names in FAILURE_ROWS.items():
        blocking, background = table[row]
        found = set(re.findall(r"`(\w+)`", blocking)) - {"reply_limit"}
        assert {CASES[name].gate for name in names} == found, row
        told = set(re.findall(r"`(\w+)`", background))
        assert {CASES[name].record for name in names} == (told or {"ok"}), row


STOPS: dict[str, dict[str, Any]] = {
    "fails (any [failure](receivers.md#failures))": {},
    "is **paused**, by a person or by the circuit breaker": {"pause": True},
    "has a condition that can't be evaluated": {"condition": "order.number == 'A-1'"},  # the sample has a number
    "is not called because the deadline has passed": {"deadline": 0.01},
    "is **switched off**": {"active": False},
    "is not yet valid, or expired": {"valid_until": "2026-01-01T00:00:00Z"},
    "has a condition that is false": {"condition": "order.sum > 1000"},
}


@pytest.mark.parametrize("row", STOPS)
def test_a_hook_set_to_stop_stops_what_the_page_says(row: str) -> None:
    """A blocking hook with on_failure=stop, in each of the table's situations."""
    given = dict(STOPS[row])
    pause, deadline = given.pop("pause", False), given.pop("deadline", 30.0)
    with MemoryEngine(transport=Network(stock=answer(500))) as engine:
        hook = Hook(
            key="hook",
            name="Hook",
            event=EVENT,
            url="http://receiver.test/stock",
            wait_for_response=True,
            on_failure="stop",
        )
        engine.hooks.add(hook)
        if given:
            engine.hooks.update("hook", given)
        if pause:
            engine.hooks.pause("hook", "moving")
        firing = engine.fire(EVENT, PAYLOAD, deadline=deadline)
    assert ["goes on" if firing.allowed else "is stopped"] == rows("firing.md", "stops")[row]
    assert firing.veto is None or firing.veto.status == 503


def test_the_table_of_stops_has_these_rows() -> None:
    """Each of the page's, none that the page has not."""
    assert list(rows("firing.md", "stops")) == list(STOPS)


@pytest.mark.parametrize("mode", ["gate", "transform", "notify", "record", "forget"])
def test_what_each_mode_makes_of_a_500(mode: str) -> None:
    """The last column of the table of modes."""
    text = (DOCS / "firing.md").read_text("utf-8")
    [row] = [line for line in text.split("\n") if line.startswith(f"| `{mode}` |")]
    flags = {
        "fire_and_forget": mode == "forget",
        "wait_for_response": mode in ("gate", "transform"),
        "response_has_data": mode in ("transform", "record"),
    }
    with MemoryEngine(transport=Network(stock=answer(500))) as engine:
        engine.hooks.add(Hook(key="hook", name="Hook", event=EVENT, url="http://receiver.test/stock", **flags))
        firing = engine.fire(EVENT, PAYLOAD)
        engine.deliver()
        outcome = engine.outcomes(firing)["hook"]
        assert engine.hooks.get("hook").mode == mode
    wanted = {"the hook fails": "failed", "retried": "retrying", "[retried]": "retrying", "**not retried**": "sent"}
    assert outcome == next(word for begins, word in wanted.items() if row.rsplit(" | ", 1)[1].startswith(begins))
