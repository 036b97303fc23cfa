"""The machine's time zone: every way in which people say it, and a sentence where it can't be told."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hookrow.store.configuration.zones import machine_zone
from hookrow.store.database.opening import open_database


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("Europe/Moscow", "Europe/Moscow"),
        (":Europe/Moscow", "Europe/Moscow"),
        ('"Europe/Moscow"', "Europe/Moscow"),
        (" ':Asia/Tomsk' ", "Asia/Tomsk"),
        ("posix/Europe/Moscow", "Europe/Moscow"),
        ("/usr/share/zoneinfo/Europe/Moscow", "Europe/Moscow"),
        (":/usr/share/zoneinfo/posix/Europe/Moscow", "Europe/Moscow"),
        ("MSK-3", "Etc/GMT-3"),
        ("<+03>-3", "Etc/GMT-3"),
        ("<-03>3", "Etc/GMT+3"),
        ("YEKT-05:00", "Etc/GMT-5"),
        ("UTC0", "UTC"),
        ("WET-00", "UTC"),
    ],
)
def test_what_tz_says_is_understood(said: str, zone: str) -> None:
    """A sign of POSIX is the other way round than people's: west is plus."""
    assert machine_zone({"TZ": said}) == (zone, None)


@pytest.mark.parametrize(
    "said",
    ["", "MSK", "MSK-3MSD,M3.5.0,M10.5.0/3", "IST-5:30", "../../etc/passwd", "MSK-33", "posixrules", "a\x1b[2Jb"],
)
def test_what_is_not_understood_is_said(said: str) -> None:
    """Never UTC without a word, and none that acts on a terminal."""
    zone, why = machine_zone({"TZ": said})
    assert zone == "UTC"
    assert "TZ is" in str(why)
    assert "settings set timezone" in str(why)
    assert "\x1b" not in str(why)


def test_links_are_followed(tmp_path: Path) -> None:
    """/etc/localtime as it is, by TZ, and over a second link; a copy is named by /etc/timezone, or not at all."""
    (tmp_path / "localtime").symlink_to("second")
    (tmp_path / "second").symlink_to("/usr/share/zoneinfo/Asia/Vladivostok")
    for environ in ({}, {"TZ": "localtime"}, {"TZ": f":{tmp_path / 'localtime'}"}):
        assert machine_zone(environ, tmp_path) == ("Asia/Vladivostok", None)
    (tmp_path / "localtime").unlink()
    (tmp_path / "localtime").write_bytes(b"TZif2")
    zone, why = machine_zone({}, tmp_path)
    assert (zone, str(tmp_path / "localtime") in str(why)) == ("UTC", True)
    (tmp_path / "timezone").write_text("Asia/Omsk\n")
    assert machine_zone({}, tmp_path) == ("Asia/Omsk", None)


def test_the_making_of_a_database_says_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: later openings read the setting."""
    monkeypatch.setenv("TZ", "Mars/Base")
    for _ in range(2):
        open_database(f"sqlite:///{tmp_path / 'hooks.db'}").close()
    [line] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "Mars/Base" in line.getMessage()
