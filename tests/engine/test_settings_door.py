"""`engine.settings`: what every process on a database obeys."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine_bench import Bench
from hookrow import AsyncHookEngine
from hookrow.errors import InvalidPayload, InvalidSetting

pytestmark = pytest.mark.anyio


@pytest.mark.usefixtures("looking_each_time")
async def test_a_setting_is_seen_by_another_process_at_its_next_fire(bench: Bench) -> None:
    """It is a row of the database, not of an engine."""
    await bench.gate("h")
    async with AsyncHookEngine(bench.engine.url, worker=False) as other:
        await other.settings.set("payload_limit", "1024")
    with pytest.raises(InvalidPayload):
        await bench.fire({"order": {"text": "x" * 2000}})


async def test_the_zone_in_which_people_type_dates(bench: Bench) -> None:
    """The setting `timezone`; a name that is no zone is refused, and one that means another zone on each machine."""
    await bench.engine.settings.set("timezone", "Asia/Yekaterinburg")
    assert await bench.engine.settings.zone() == ZoneInfo("Asia/Yekaterinburg")
    for other in ("Moscow/Europe", "localtime", " posixrules "):
        with pytest.raises(InvalidSetting, match=other):
            await bench.engine.settings.set("timezone", other)


async def test_an_unknown_setting_is_refused(bench: Bench) -> None:
    """Reading and writing alike."""
    with pytest.raises(InvalidSetting):
        await bench.engine.settings.get("nonsense")
    with pytest.raises(InvalidSetting):
        await bench.engine.settings.set("nonsense", "1")


async def test_an_argument_makes_egress_stricter_never_wider(tmp_path: Path) -> None:
    """The list says what is in force here."""
    url = f"sqlite:///{tmp_path}/hooks.db"
    async with AsyncHookEngine(url, worker=False, egress="public") as strict:
        [egress] = [each for each in await strict.settings.list() if each.name == "egress"]
        assert egress.value == "public"
        await strict.settings.set("egress", "public")
    async with AsyncHookEngine(url, worker=False, egress="private") as wide:
        [egress] = [each for each in await wide.settings.list() if each.name == "egress"]
        assert egress.value == "public"
