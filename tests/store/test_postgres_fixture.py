"""The PostgreSQL that tests are given is real, and each test's database is its own."""

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

KEEPER = Path(__file__).parents[1] / "postgres_keeper.py"


def test_it_is_a_real_server(postgres_url: str) -> None:
    """SQLAlchemy's own PostgreSQL dialect reaches it by the URL as it stands."""
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
        assert int(connection.execute(text("SHOW server_version_num")).scalar_one()) >= 140_000
    engine.dispose()


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_database(postgres_url: str, turn: int) -> None:
    """What one test leaves behind the next does not see."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE public.mark (turn int)")
        connection.execute("INSERT INTO public.mark VALUES (%s)", [turn])
        assert connection.execute("SELECT turn FROM public.mark").fetchall() == [(turn,)]


@pytest.mark.skipif("HOOKROW_TEST_POSTGRES" in os.environ, reason="the server is not this run's own")
def test_no_server_outlives_a_killed_run() -> None:
    """A run that is killed with -9 closes the keeper's pipe; the server stops and its data are removed."""
    data = Path(tempfile.gettempdir()) / f"hookrow-postgres-{uuid.uuid4().hex}"
    run = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "keeper = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)\n"
            "time.sleep(600)\n",
            sys.executable,
            KEEPER,
            data,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        assert run.stdout is not None
        url = run.stdout.readline().strip()
        psycopg.connect(url).close()
        run.send_signal(signal.SIGKILL)
        assert run.stdout.read() == ""  # the keeper held the other end: it has ended
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    assert not data.exists()
