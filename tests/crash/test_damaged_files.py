"""Files that are no Hookrow database, or a damaged one: refused with advice, no traceback, no quiet wrong answer."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_runs import program
from hookrow import Hook, HookEngine
from hookrow.errors import HookrowError, StorageError

PAGE = 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of some hundred pages in one file."""
    path = tmp_path_factory.mktemp("sound") / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        for number in range(60):
            engine.hooks.add(
                Hook(
                    key=f"h{number}",
                    name=f"Hook {number}",
                    event="after_registration",
                    url="http://127.0.0.1:9/",
                    body='{"filler": "' + "x" * 2000 + '"}',
                )
            )
    plain = sqlite3.connect(path)
    plain.execute("PRAGMA journal_mode=DELETE")
    plain.close()
    return path


def overwrite(start: int, data: bytes) -> Callable[[Path], None]:
    """Other bytes at a place."""

    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(start)
            file.write(data)

    return damage


def cut(keep: float) -> Callable[[Path], None]:
    """The beginning only: a share of the file, or so many bytes."""

    def damage(path: Path) -> None:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(int(size * keep) if keep < 1 else int(keep))

    return damage


def whole(data: bytes) -> Callable[[Path], None]:
    """Another file."""
    return lambda path: path.write_bytes(data) and None


def schema(*statements: str) -> Callable[[Path], None]:
    """Changed by somebody's SQL."""

    def damage(path: Path) -> None:
        plain = sqlite3.connect(path)
        plain.execute("PRAGMA foreign_keys=OFF")
        for statement in statements:
            plain.execute(statement)
        plain.commit()
        plain.close()

    return damage


def foreign(*statements: str) -> Callable[[Path], None]:
    """Another program's database."""

    def damage(path: Path) -> None:
        path.unlink()
        schema(*statements)(path)

    return damage


def noise(seed: int, pages: range) -> Callable[[Path], None]:
    """Pages full of chance."""

    def damage(path: Path) -> None:
        dice = random.Random(seed)
        for page in pages:
            overwrite(page * PAGE, dice.randbytes(PAGE))(path)

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "text": whole(b"these are not the bytes you are looking for\n" * 200),
    "short text": whole(b"hello"),
    "one byte": whole(b"\0"),
    "zeros": whole(b"\0" * 8192),
    "png": whole(b"\x89PNG\r\n\x1a\n" + b"\0" * 4096),
    "gzip": whole(b"\x1f\x8b\x08" + b"\x55" * 4096),
    "json": whole(b'{"hooks": []}' * 500),
    "utf-16": whole("hooks".encode("utf-16") * 1000),
    "magic only": whole(b"SQLite format 3\0"),
    "magic and zeros": whole(b"SQLite format 3\0" + b"\0" * 8176),
    "magic and chance": whole(b"SQLite format 3\0" + random.Random(1).randbytes(8176)),
    "flipped magic": overwrite(3, b"X"),
    "page size 0": overwrite(16, b"\0\0"),
    "page size 3": overwrite(16, b"\0\3"),
    "write version": overwrite(18, b"\x09\x09"),
    "reserved space": overwrite(20, b"\xff"),
    "payload fractions": overwrite(21, b"\1\1\1"),
    "schema format": overwrite(44, b"\0\0\0\x63"),
    "first page's tree": overwrite(100, b"\xee" * 12),
    "schema page": noise(2, range(1)),
    "first pages": noise(3, range(8)),
    "all but the first page": noise(4, range(1, 60)),
    "half": cut(0.5),
    "a tenth": cut(0.1),
    "one page": cut(PAGE),
    "half a header": cut(50),
    "no hook table": schema("DROP TABLE hook"),
    "no delivery table": schema("DROP TABLE delivery"),
    "a missing column": schema("ALTER TABLE hook DROP COLUMN order_key"),
    "a renamed column": schema("ALTER TABLE hook RENAME COLUMN url TO address"),
    "our names, their tables": foreign("CREATE TABLE hook (a)", "CREATE TABLE firing (b)", "CREATE TABLE delivery (c)"),
    "our version table, empty": foreign("CREATE TABLE hookrow_version (version_num)"),
    "a version from nowhere": schema("UPDATE hookrow_version SET version_num = 'zzzz'"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_it_is_refused(sound: Path, tmp_path: Path, kind: str) -> None:
    """Opened, listed and fired at: an error of storage with advice, at the latest when it is touched."""
    path = tmp_path / "hooks.db"
    shutil.copy(sound, path)
    DAMAGES[kind](path)
    before = path.read_bytes()
    with pytest.raises(StorageError) as caught:
        use(path)
    assert str(caught.value), "no word of advice"
    assert isinstance(caught.value, HookrowError)
    assert path.read_bytes()[:PAGE] == before[:PAGE], "a file that is refused is left untouched"


def use(path: Path) -> None:
    """What a service and the command line do with a database."""
    with HookEngine(f"sqlite:///{path}", worker=False, create=False) as engine:
        assert len(engine.hooks.list()) == 60
        engine.fire("after_registration", {"number": 1}).raise_for_error()


@pytest.mark.parametrize("kind", ["text", "half", "a missing column", "our names, their tables"])
def test_the_command_line_says_so(sound: Path, tmp_path: Path, kind: str) -> None:
    """Exit 3 and a sentence; no traceback."""
    path = tmp_path / "hooks.db"
    shutil.copy(sound, path)
    DAMAGES[kind](path)
    with program("--db", path, "hooks", "list") as run:
        _, err = run.communicate(timeout=60)
    assert run.returncode == 3, err
    assert err.strip()
    assert "Traceback" not in err
