"""Secrets through the front door: never in a byte that is kept, a log line, a repr or a traceback."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import pytest

from engine_bench import Bench
from hookrow import Hook
from hookrow.errors import InvalidHook
from hookrow.secrets.secret import Secret
from scripted import answer

pytestmark = pytest.mark.anyio
EVENT = "before_order_add"
SECRETS = {"auth_login": "bob", "auth_password": "canary-pw", "custom_header": "X-Key: canary-header"}


async def test_no_byte_log_line_or_repr_holds_a_secret(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """From adding the hook over firing it to looking at it."""
    caplog.set_level(logging.DEBUG)
    bench.network.on("h", answer(500))
    hook = await bench.gate("h", **SECRETS)
    signing = await bench.engine.hooks.new_secret("h")
    firing = await bench.fire()
    shown = [caplog.text, repr(hook), repr(firing), str(hook.model_dump()), hook.model_dump_json()]
    shown += [
        repr(await bench.engine.log.attempts(firing.deliveries[0].id)),
        repr(await bench.engine.hooks.history("h")),
    ]
    path = bench.engine.path
    assert path is not None
    kept = b"".join(each.read_bytes() for each in path.parent.glob("hooks.db*"))
    for secret in ("canary", signing, "Ym9iOmNhbmFyeS1wdw"):
        assert secret not in "\n".join(shown)
        assert secret.encode() not in kept


async def test_a_refused_hook_does_not_show_what_was_typed(bench: Bench) -> None:
    """The traceback of a refusal goes to a log, too."""
    typed = "Bad Name: canary-header"
    with pytest.raises(InvalidHook) as caught:
        Hook(name="h", event=EVENT, url="http://receiver.test/", custom_header=typed)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


async def test_a_missing_key_fails_the_delivery_without_a_request(bench: Bench) -> None:
    """The receiver must not get a request without its credentials."""
    await bench.gate("h", **SECRETS, on_failure="stop")
    assert bench.engine.path is not None
    bench.engine.runtime.vault = type(bench.engine.runtime.vault).for_database(
        Path("/nonexistent/hooks.db"), {"HOOKROW_KEYS": ""}, None
    )
    firing = await bench.fire()
    assert (firing.outcome, bench.network.requests) == ("failed", [])


async def test_a_secret_of_another_hook_can_not_be_copied(bench: Bench) -> None:
    """It was read as «set» only: its value is not there to be sealed again."""
    await bench.gate("h", **SECRETS)
    await bench.gate("other", auth_login="eve")
    await bench.engine.hooks.update("other", auth_password=Secret.kept())
    assert (await bench.engine.hooks.get("other")).auth_password is None


async def test_fields_that_were_set_after_the_check_are_checked_again(bench: Bench) -> None:
    """A header's value stands in no name, a password is sealed, and what can't be so is told in words."""
    hook = Hook(key="a", name="a", event=EVENT, url="http://receiver.test/")
    hook.custom_header, hook.auth_login, hook.auth_password = "X-Key: s3cretvalue", "shop", "plain"  # type: ignore[assignment]
    kept = await bench.engine.hooks.add(hook)
    assert (kept.custom_header, kept.custom_header_value, kept.auth_password) == (
        "X-Key",
        Secret.kept(),
        Secret.kept(),
    )
    assert "s3cretvalue" not in str(await bench.engine.hooks.history("a"))
    other = Hook(key="b", name="b", event=EVENT, url="http://receiver.test/")
    other.timeout, other.url = -5, "ftp://receiver.test/"
    with pytest.raises(InvalidHook) as refused:
        await bench.engine.hooks.ensure(other)
    assert {problem.field for problem in refused.value.problems} == {"timeout", "url"}
