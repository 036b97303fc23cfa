"""doctor: each finding made, found, and said with its code; what it shows besides."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow

Add = Callable[..., dict[str, Any]]


def codes(hookrow: Hookrow) -> list[tuple[str, str | None]]:
    """The findings' codes with the keys of the hooks that they are about."""
    found = hookrow("doctor", "--json", code=1).json["findings"]
    return [(each["code"], each["hook"] and each["hook"]["key"]) for each in found]


def test_periods_that_are_over_or_soon_will_be(add: Add, hookrow: Hookrow) -> None:
    """A hook that is on and expired, one that ends within a week; not one that is switched off or ends later."""
    add("http://127.0.0.1:9/a", "--valid-from", "01.01.2020", "--valid-until", "02.01.2020", "--key", "over")
    add("http://127.0.0.1:9/a", "--valid-until", "+6h", "--key", "ends")
    add("http://127.0.0.1:9/a", "--valid-until", "+6h", "--no-active", "--key", "off")
    add("http://127.0.0.1:9/a", "--valid-until", "01.01.2999", "--key", "far")
    assert codes(hookrow) == [("expired", "over"), ("ends_soon", "ends")]
    assert "ends in 5 h" in hookrow("doctor", code=1).out


def test_a_row_that_takes_longer_than_anybody_waits(add: Add, hookrow: Hookrow) -> None:
    """All waiting hooks of an event together beyond 30 s; those that are off or expired don't count."""
    for key in ("a", "b"):
        add("http://127.0.0.1:9/a", "--wait-for-response", "--timeout", 16, "--key", key)
    add("http://127.0.0.1:9/a", "--timeout", 30, "--key", "background", event="on_subscription")
    assert codes(hookrow) == [("row_too_long", None)]
    assert "before_order_add may take 32 s" in hookrow("doctor", code=1).out
    hookrow("hooks", "disable", "a")
    hookrow("doctor")


def test_leases_that_nobody_takes_over(add: Add, hookrow: Hookrow, made: Path) -> None:
    """Lapsed for more than a minute: their process has ended, and no worker runs."""
    add("http://127.0.0.1:9/a")
    hookrow("fire", "before_order_add", "--no-wait")
    with closing(sqlite3.connect(made)) as connection:
        connection.execute(
            "UPDATE delivery SET state = 'leased', lease_ms = due_ms - 61000, owner = 'x', due_ms = NULL"
        )
        connection.commit()
    assert codes(hookrow) == [("stuck", None)]


def test_an_address_that_is_never_called(add: Add, hookrow: Hookrow) -> None:
    """Cloud metadata always, inner networks where the setting says so; names are not looked up."""
    add("http://169.254.169.254/latest", "--key", "metadata")
    add("http://127.0.0.1:9/a", "--key", "inner")
    add("http://receiver.example/a", "--key", "name")
    assert codes(hookrow) == [("egress", "metadata")]
    hookrow("settings", "set", "egress", "public")
    assert codes(hookrow) == [("egress", "metadata"), ("egress", "inner")]
    hookrow("settings", "set", "egress_allow", "127.0.0.1")
    assert codes(hookrow) == [("egress", "metadata")]


def test_a_disk_that_is_nearly_full(hookrow: Hookrow, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the log can't be written any more."""
    monkeypatch.setattr("hookrow.cli.show.findings.LEAST_FREE", 1 << 60)
    assert codes(hookrow) == [("disk", None)]


def test_what_runs_here_and_how_large_it_is(hookrow: Hookrow, made: Path) -> None:
    """Versions, sizes, and whether this user may write."""
    found = hookrow("doctor", "--json").json
    assert set(found["versions"]) == {"hookrow", "python", "schema", "sqlite"}
    assert found["room"]["file_bytes"] > 0
    assert found["room"]["free_bytes"] > 0
    assert found["read_only"] is False
    assert sqlite3.sqlite_version in hookrow("doctor").out


def test_a_setting_made_stricter_here_says_by_what(
    hookrow: Hookrow, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The effective value and its source, as every process would see them with this environment."""
    monkeypatch.setenv("HOOKROW_EGRESS", "public")
    settings = {each["name"]: each for each in hookrow("doctor", "--json").json["settings"]}
    assert (settings["egress"]["value"], settings["egress"]["source"]) == ("public", "HOOKROW_EGRESS")
    assert settings["timezone"]["source"] == "database"
    assert settings["retention_days"]["source"] == "default"


def stored(made: Path, statement: str) -> None:
    """A row changed by hand, or as an older Hookrow left it."""
    with closing(sqlite3.connect(made)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_stored_template_that_can_not_be_compiled(add: Add, hookrow: Hookrow, made: Path) -> None:
    """A body or a condition from before: it fails at every firing."""
    for key in ("body", "condition", "well"):
        add("http://127.0.0.1:9/a", "--key", key)
    stored(made, "UPDATE hook SET body = '{{ order.id' WHERE key = 'body'")
    stored(made, "UPDATE hook SET condition = 'order.sum >' WHERE key = 'condition'")
    assert codes(hookrow) == [("template", "body"), ("template", "condition")]
    assert "can't be compiled: " in hookrow("doctor", code=1).out


def test_deliveries_that_wait_for_a_hook_that_is_off(add: Add, hookrow: Hookrow, made: Path) -> None:
    """Enabling it would send them, which nobody may expect."""
    add("http://127.0.0.1:9/a", "--key", "off")
    for _ in range(3):
        hookrow("fire", "before_order_add", "--no-wait")
    hookrow("hooks", "disable", "off")
    assert codes(hookrow) == [("held", "off")]
    assert "is off and 3 deliveries wait for it" in hookrow("doctor", code=1).out


def test_rows_without_a_time(add: Add, hookrow: Hookrow, made: Path) -> None:
    """No worker would ever send them."""
    add("http://127.0.0.1:9/a")
    hookrow("fire", "before_order_add", "--no-wait")
    stored(made, "UPDATE delivery SET state = 'retrying', due_ms = NULL")
    assert ("timeless", None) in codes(hookrow)
    assert "1 delivery waits for an attempt that has no time" in hookrow("doctor", code=1).out
