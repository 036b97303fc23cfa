"""The settings: what each accepts, and how it is kept."""

from __future__ import annotations

import pytest

from hookrow.errors import InvalidSetting
from hookrow.store.configuration import settings
from hookrow.store.configuration.cache import ConfigCache
from hookrow.store.database.database import Database


@pytest.mark.parametrize(
    ("name", "typed", "kept"),
    [
        ("payload_limit", "2 MiB", "2097152"),
        ("payload_limit", "1024", "1024"),
        ("reply_kept", "64k", "65536"),
        ("retention_bytes", "1_073_741_824", "1073741824"),
        ("retention_days", " 7 ", "7"),
        ("timezone", " Europe/Moscow ", "Europe/Moscow"),
        ("egress", "public", "public"),
        ("egress_allow", "10.0.0.0/8,192.168.1.1", "10.0.0.0/8, 192.168.1.1"),
    ],
)
def test_a_value_is_spelled_one_way(name: str, typed: str, kept: str) -> None:
    """However it was typed; what is kept is accepted again and stays."""
    assert settings.parse(name, typed) == kept
    assert settings.parse(name, kept) == kept


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("payload_limit", "1023"),
        ("payload_limit", "65 MiB"),
        ("payload_limit", "-5"),
        ("payload_limit", "1.5M"),
        ("payload_limit", "٥٠٠٠"),
        ("payload_limit", ""),
        ("payload_limit", "5 parsecs"),
        ("retention_days", "0"),
        ("timezone", "Mars/Olympus"),
        ("timezone", "/etc/passwd"),
        ("timezone", "../../etc/passwd"),
        ("timezone", ""),
        ("egress", "everything"),
        ("egress_allow", "10.0.0.0/99"),
        ("nonsense", "1"),
    ],
)
def test_a_bad_value_is_refused(name: str, typed: str) -> None:
    """With the setting's name and one sentence."""
    with pytest.raises(InvalidSetting) as raised:
        settings.parse(name, typed)
    assert [problem.field for problem in raised.value.problems] == [name]


def test_a_setting_is_kept_once_and_can_be_taken_away(database: Database) -> None:
    """A value replaces the one before; without one the default holds."""
    for value in ("10", "20"):
        database.writer.write(lambda connection, value=value: settings.store(connection, "retention_days", value))  # type: ignore[misc]
    cache = ConfigCache(database)
    shown = {each.name: each for each in settings.values(cache.get().settings)}
    assert (shown["retention_days"].value, shown["retention_days"].source) == ("20", "database")
    database.writer.write(lambda connection: settings.store(connection, "retention_days", None))
    cache.forget()
    shown = {each.name: each for each in settings.values(cache.get().settings)}
    assert (shown["retention_days"].value, shown["retention_days"].source) == ("30", "default")
