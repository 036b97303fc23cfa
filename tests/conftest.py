"""What many tests share: the event loop's lag, and a PostgreSQL of their own."""

from __future__ import annotations

import asyncio
import gc
import inspect
import math
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from hypothesis import settings, strategies

from postgres_kept import KeptPostgres, kept_postgres
from seconds import Seconds

if TYPE_CHECKING:
    from hookrow.store.database.database import Database
    from postgres_copies import Copies


OURS = ("HOOKROW_TEST_", "HOOKROW_SEED", "HOOKROW_EXAMPLES", "HOOKROW_MINUTES")
THEIRS = (
    *(
        "HOOKROW",
        "CREDENTIALS_DIRECTORY",
        "PG",
        "GIT_",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "PYTHONIOENCODING",
        "PYTHONUNBUFFERED",
    ),
    *("EDITOR", "VISUAL", "PAGER", "LESS", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TMUX", "SSH_", "TEXTUAL"),
)


def pytest_configure(config: pytest.Config) -> None:
    """Make all machines alike, and count what the tests cost.

    Ctrl+C works in what the tests start, also where the tests themselves run in the background of a shell, which
    starts them with the signal ignored: children inherit that. What whoever runs them has set for programs of theirs
    (Hookrow too, and PostgreSQL, git, terminals) is not asked, no proxy stands between the tests and 127.0.0.1, and
    what is started writes UTF-8. Hypothesis does not time its examples, of which it makes others each time. Nor does
    httpx time what a service of the tests answers: its five seconds are over early on a busy machine.
    """
    patience = inspect.signature(httpx.Client).parameters["timeout"].default
    vars(patience).update(dict.fromkeys(vars(patience), 60.0))
    for name in list(os.environ):
        if name.upper().startswith(THEIRS) and not name.startswith(OURS):
            del os.environ[name]
    settings.register_profile("untimed", deadline=None, max_examples=50)
    settings.load_profile("untimed")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(Seconds())
    # What is collected stays, and what tests make is mostly gone before the collector would look for it: with its own
    # thresholds it takes a fifth of the time.
    gc.set_threshold(50_000, 20, 20)


def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """The processes that run the tests are forked from one that has imported what all of them import.

    Not where coverage is measured: it is of what is run, and not of what was imported before.
    """
    strategies.text().validate()  # what Hypothesis knows of all Unicode is reckoned once, and kept on disk
    if sys.platform == "linux" and not config.pluginmanager.has_plugin("_cov"):
        from execnet import gateway_io

        from warm import Worker

        gateway_io.Popen2IOMaster = Worker


def pytest_collection_finish() -> None:
    """What was imported is not looked through again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """`-x` ends a parallel run as any other: with a failed test (1), not as if somebody had interrupted it (2)."""
    if exitstatus == pytest.ExitCode.INTERRUPTED and session.testsfailed and session.config.getoption("maxfail"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests (`pytestmark = pytest.mark.anyio`) run on asyncio, as the engine does."""
    return "asyncio"


class Lag:
    """The machine's share in a measured time: how late the loop ran what was due, how long the disk took, at worst.

    What the engine does ends with commits, for which the loop waits in other threads: a slow disk is no lag of the
    loop. So a thread writes to the disk of the tests and syncs, as a commit does.
    """

    STEP = 0.005
    PAUSE = 0.05
    """Seconds between two writes: few enough to leave the disk to what is measured."""

    def __init__(self) -> None:
        self.largest = 0.0
        self.slowest = 0.0
        self.due = self.syncing = math.inf
        self.ended = threading.Event()

    def look(self) -> None:
        """Take into account how late the sentinel is now: whoever asks may have been woken before it."""
        self.largest = max(self.largest, asyncio.get_running_loop().time() - self.due)

    def bound(self, seconds: float) -> float:
        """A limit for a time measured in this test: `seconds`, and ten times the largest lag, of loop or of disk."""
        self.look()
        syncing = time.monotonic() - self.syncing  # asked for first: the thread writes `slowest` first
        return seconds + 10 * max(self.largest, syncing, self.slowest)

    async def watch(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.due = loop.time() + self.STEP
            await asyncio.sleep(self.STEP)
            self.look()

    def sync(self, path: Path) -> None:
        """Time small writes to this file until ended, in a thread."""
        with path.open("wb", buffering=0) as file:
            while not self.ended.is_set():
                self.syncing = time.monotonic()
                file.write(b"x")
                os.fsync(file.fileno())
                self.slowest = max(self.slowest, time.monotonic() - self.syncing)
                self.syncing = math.inf
                self.ended.wait(self.PAUSE)


@asynccontextmanager
async def watched_lag(path: Path) -> AsyncIterator[Lag]:
    """Measure the running loop's lag inside the block, and that of the disk by writing this file."""
    lag = Lag()
    sentinel = asyncio.create_task(lag.watch(), name="lag")
    disk = threading.Thread(target=lag.sync, args=(path,), name="lag", daemon=True)
    disk.start()
    await asyncio.sleep(0)
    try:
        yield lag
    finally:
        sentinel.cancel()
        await asyncio.wait([sentinel])
        lag.ended.set()
        disk.join()


@pytest.fixture(autouse=True)
def language_of_one_test() -> Iterator[None]:
    """What a test makes the process speak ends with it: the next file's sentences are not another's doing."""
    from hookrow.lang import current, use

    before = current()
    yield
    use(before)


@pytest.fixture(params=["ru", "en"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    """The language that is spoken during the test."""
    from hookrow.lang import current, use

    before = current()
    use(request.param)
    yield request.param
    use(before)


@pytest.fixture
def looking_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration is asked for by each caller. Else a quick machine is still within the moment (1 ms; 5 ms after
    a commit) for which what was seen is taken for true, and a slow one is not."""
    for limit in ("LOOK", "BUSY_LOOK"):
        monkeypatch.setattr(f"hookrow.store.configuration.cache.{limit}", 0.0)


@pytest.fixture
async def lag(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Lag]:
    """For async tests that assert a time: `assert elapsed <= lag.bound(1.25)`."""
    async with watched_lag(tmp_path / "lag") as measured:
        yield measured


@pytest.fixture
def own_postgres() -> Iterator[KeptPostgres]:
    """A server of this test alone, which it may restart."""
    with kept_postgres(uuid.uuid4().hex) as kept:
        yield kept


@pytest.fixture(autouse=True, scope="session")
def small_reserves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Thousands of databases are made, and kept for three runs: each beside 44 MiB would fill the disk of the tests."""
    from hookrow.store.database import reserve

    reserve.SIZE = 64 * 1024
    yield
    for left in tmp_path_factory.getbasetemp().rglob("*-reserve"):  # of processes of their own
        left.unlink(missing_ok=True)


@pytest.fixture(autouse=True, scope="session")
def one_compilation() -> Iterator[None]:
    """Thousands of databases are opened by a handful of processes, each with the same statements."""
    from compiled import compiled_once

    with compiled_once():
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL on which databases may be made: HOOKROW_TEST_POSTGRES, else one of this run's own.

    It is shared by the run's pytest-xdist workers and ends with them, killed or not (see postgres_keeper.py).
    """
    given = os.environ.get("HOOKROW_TEST_POSTGRES")
    if given:
        yield given
        return
    with kept_postgres(os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex) as kept:
        yield kept.url


@contextmanager
def postgres_database(server: str, template: str = "template0") -> Iterator[str]:
    """The URL (`postgresql://…`, for SQLAlchemy and psycopg alike) of a new database, a copy of this one."""
    from postgres_copies import make, url_of

    with psycopg.connect(server, autocommit=True) as connection:
        name = make(connection, template)
        yield url_of(server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own."""
    with postgres_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of Hookrow's in which nothing has happened, to be copied: its schema is made once."""
    path = tmp_path_factory.mktemp("template") / "hooks.db"
    opened(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres_copies(postgres_server: str) -> Iterator[Copies]:
    """The same on PostgreSQL."""
    from postgres_copies import Copies

    with postgres_database(postgres_server) as url:
        opened(url).close()
        with closing(Copies(postgres_server, urlsplit(url).path[1:])) as copies:
            yield copies


def opened(url: str) -> Database:
    """Hookrow's database there, made where there is none."""
    from hookrow.store.database.opening import open_database

    return open_database(url.replace("postgresql://", "postgresql+psycopg://"))


@contextmanager
def prepared_url(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The URL of a copy of a template, of the kind that the fixture's parameter names."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / "hooks.db")
        yield f"sqlite:///{folder / 'hooks.db'}"
        return
    copies: Copies = request.getfixturevalue("postgres_copies")
    with copies.lent() as url:
        yield url.replace("postgresql://", "postgresql+psycopg://")


@contextmanager
def prepared_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """The same, open."""
    with prepared_url(request, folder) as url, closing(opened(url)) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def either_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of each kind, in which nothing has happened."""
    with prepared_url(request, tmp_path) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind, on the machine's clock: what holds for the store holds on both."""
    with prepared_database(request, tmp_path) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The same, made for this test: for what depends on how and where it was made."""
    on_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'hooks.db'}" if on_sqlite else str(request.getfixturevalue("postgres_url"))
    with closing(opened(url)) as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The same for all tests of a file: for those that fill it once and then only read."""
    with prepared_database(request, tmp_path_factory.mktemp("module")) as made:
        yield made
