"""docs/templates.md: every example gives what the page says, and the page has every filter and test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hookrow.clock import to_ms
from hookrow.hook.local_time import LocalTime
from hookrow.template.compiled import Body, Condition, prepare
from hookrow.template.filters import FILTERS, TESTS

PAGE = (Path(__file__).parents[2] / "docs" / "templates.md").read_text("utf-8")
[PAYLOAD] = [json.loads(each) for each in re.findall(r"<!-- payload -->\n```json\n(.*?)```", PAGE, re.DOTALL)]
BODIES = re.findall(r"<!-- body -->\n```jinja\n(.*?)```\n```json\n(.*?)```", PAGE, re.DOTALL)
WEBHOOK = {"id": "evt_1", "type": "before_order_add", "timestamp": "2026-11-25T09:14:03.120Z"}


def rows(mark: str) -> Iterator[list[str]]:
    """The cells of the table under this mark."""
    table = PAGE[PAGE.index(f"<!-- {mark} -->") :].partition("\n\n")[0]
    for line in table.split("\n")[3:]:
        yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def rendered(template: str) -> Any:
    """The JSON that a body gives on the page's payload."""
    return json.loads(Body.compile(template).render(prepare(PAYLOAD), WEBHOOK))


def true_of(condition: str, moment: LocalTime | None = None) -> bool:
    """What a condition gives on the page's payload."""
    return Condition.compile(condition).test(prepare(PAYLOAD, moment=moment), WEBHOOK)


def test_there_are_ten_examples() -> None:
    """As the page's heading says."""
    assert len(BODIES) == 10


@pytest.mark.parametrize(("template", "wanted"), BODIES)
def test_a_body_gives_what_the_page_shows(template: str, wanted: str) -> None:
    """On the page's own payload."""
    assert rendered(template) == json.loads(wanted)


def test_conditions_give_what_the_page_says() -> None:
    """Each of the table."""
    found = [(condition.strip("`"), said) for condition, said in rows("conditions")]
    assert len(found) == 8
    assert [(each, str(true_of(each)).lower()) for each, _ in found] == found


def test_the_time_is_what_the_page_says() -> None:
    """At the moment above the table."""
    at = "2026-11-27T17:59"
    moment = LocalTime(to_ms(datetime.fromisoformat(at).replace(tzinfo=UTC)))
    found = [(condition.strip("`"), said) for condition, said in rows(f"times: {at}")]
    assert len(found) == 4
    assert [(each, str(true_of(each, moment)).lower()) for each, _ in found] == found


def test_every_filter_has_its_line_and_example() -> None:
    """All names, no other ones, and what the example gives."""
    found = list(rows("filters"))
    assert sorted(name.strip("`") for row in found for name in row[0].split(", ")) == sorted(FILTERS)
    for _, _, example, result in found:
        assert rendered("{{ " + example.strip("`") + " }}") == json.loads(result.strip("`")), example


def test_every_test_has_its_line_and_example() -> None:
    """All names, no other ones, and what the example gives."""
    found = list(rows("tests"))
    assert sorted(name.strip("`") for row in found for name in row[0].split(", ")) == sorted(TESTS)
    for _, _, example, result in found:
        assert str(true_of(example.strip("`"))).lower() == result, example
