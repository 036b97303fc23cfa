"""Starting: what it costs, what it loads, which language it speaks, what it says without a database or a terminal."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli_runs import Hookrow, environment, program
from hookrow.cli.catalogue import COMMANDS, EXAMPLES

HEAVY = (
    "sqlmodel",
    "sqlalchemy",
    "httpx",
    "textual",
    "cryptography",
    "werkzeug",
    "pydantic",
    "minijinja",
    "hookrow.records",
)


def seconds(code: str, *arguments: str) -> float:
    """How long an interpreter takes for it."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], env=environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


@pytest.mark.parametrize(
    "arguments", [["--help"], ["replay", "--help"], ["log", "--help"], ["hooks", "--help"], ["hooks", "add", "--help"]]
)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_help_loads_nothing_heavy(arguments: list[str], language: str) -> None:
    """Help, of the whole and of a command, imports neither models nor HTTP nor the interface."""
    heavy = (*HEAVY, "tempfile") if "replay" in arguments else HEAVY
    code = (
        "import sys\nfrom hookrow.cli.app import run\nrun(sys.argv[1:])\n"
        f"print(sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--lang", language, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "[]\n"
    assert ("Использование" if language == "ru" else "Usage:") in done.stdout


def test_help_is_nearly_as_quick_as_importing_click() -> None:
    """`hookrow --help` takes at most one and a half times as long as `import click` (the best of many runs each)."""
    best = {"click": float("inf"), "help": float("inf")}
    for _ in range(40):
        best["click"] = min(best["click"], seconds("import click"))
        best["help"] = min(best["help"], seconds("from hookrow.cli import main; main()", "--help"))
        if best["help"] <= 1.5 * best["click"]:
            return
    pytest.fail(f"{best['help'] / best['click']:.2f} times")


@pytest.mark.parametrize("name", list(COMMANDS))
@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_command_explains_itself(hookrow: Hookrow, name: str, language: str) -> None:
    """Each command has help in both languages, and says in it what the list of commands says."""
    ran = hookrow("--lang", language, name, "--help")
    assert " ".join(str(COMMANDS[name].brief).split()) in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("env", "arguments", "russian"),
    [
        ({}, [], False),
        ({"LANG": "ru_RU.UTF-8"}, [], True),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "ru_RU.UTF-8"}, [], False),
        ({"HOOKROW_LANG": "ru"}, [], True),
        ({"HOOKROW_LANG": "ru"}, ["--lang", "en"], False),
        ({"LANG": "ru_RU.KOI8-R"}, [], True),
    ],
)
def test_the_language_is_chosen(
    hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], arguments: list[str], russian: bool
) -> None:
    """--lang, else HOOKROW_LANG, else the locale; the command-line library's own words follow."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    ran = hookrow(*arguments, "hooks", "show", code=2)
    assert ("Не указан аргумент ХУК." in ran.err) is russian
    assert ("Missing argument HOOK." in ran.err) is not russian


def test_without_a_command_or_terminal_there_is_help(hookrow: Hookrow) -> None:
    """Without a terminal: help on stdout, and the hint to use ssh -t on stderr."""
    ran = hookrow()
    assert "Usage:" in ran.out
    assert "ssh -t" in ran.err


def test_without_a_terminal_an_empty_folder_is_told_the_way(hookrow: Hookrow, folder: Path) -> None:
    """Both ways to make a database are named, and none is made; with one nothing is said of it."""
    assert "hookrow init --example" in hookrow().err
    assert list(folder.iterdir()) == []
    hookrow("init")
    assert "hookrow init" not in hookrow().err


def test_an_empty_folder_has_a_way_out(hookrow: Hookrow, folder: Path) -> None:
    """No database: exit 3, the command that makes one is named, and nothing is made."""
    for arguments in (
        ["hooks", "list"],
        ["log"],
        ["fire", "before_order_add"],
        ["worker"],
        ["settings", "list"],
        ["db", "upgrade"],
    ):
        ran = hookrow(*arguments, code=3)
        assert "hookrow init" in ran.err
    assert list(folder.iterdir()) == []


def test_the_catalogue_needs_no_database(hookrow: Hookrow) -> None:
    """`events` and `events match` answer in an empty folder."""
    assert len(hookrow("events", "--json").lines) >= 9
    assert hookrow("events", "match", "POST", "/user/new", "--json").json["code"] == "before_user_new"
    assert hookrow("events", "match", "GET", "/nothing", code=1).out == ""


def test_the_interface_needs_a_terminal(hookrow: Hookrow, made: Path) -> None:
    """`tui` without a terminal says what to do, exit 2."""
    assert "ssh -t" in hookrow("tui", code=2).err


def test_the_database_is_found(hookrow: Hookrow, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--db, a path or a URL, else $HOOKROW_DB, else ./hooks.db."""
    hookrow("--db", "one.db", "init")
    monkeypatch.setenv("HOOKROW_DB", f"sqlite:///{folder / 'two.db'}")
    hookrow("init")
    assert (folder / "one.db").exists()
    assert (folder / "two.db").exists()
    hookrow("hooks", "add", "--name", "x", "--url", "http://127.0.0.1/x", "--event", "on_subscription")
    assert hookrow("--db", "one.db", "hooks", "list", "--json").lines == []
    assert len(hookrow("--db", "two.db", "hooks", "list", "--json").lines) == 1
    for after in (("hooks", "list", "--db", "one.db"), ("--db", "two.db", "hooks", "--db", "one.db", "list")):
        assert hookrow(*after, "--json").lines == []
    hookrow("init", code=5)


def test_every_command_takes_the_database_and_the_language(hookrow: Hookrow, folder: Path) -> None:
    """After its name too; its own help does not repeat them."""
    for name in filter(None, EXAMPLES):
        helped = hookrow(*name.split(), "--db", "none.db", "--lang", "ru", "--help").out
        assert "Показать эту справку и выйти." in helped
        assert "--db URL" not in helped, name


def test_a_listing_into_head_ends_quietly(made: Path, hookrow: Hookrow) -> None:
    """`| head`: no traceback, nothing on stderr, exit 0 (or the shell's 141)."""
    from hookrow import Hook, HookEngine

    with HookEngine(f"sqlite:///{made}", worker=False) as engine:
        for number in range(20):  # a pipe holds 64 KiB
            body = f'"{"x" * 8000}"'
            engine.hooks.add(Hook(name=f"{number}", url="http://127.0.0.1/x", event="on_subscription", body=body))
    with program("hooks", "list", "--json", cwd=made.parent, env={"PYTHONUNBUFFERED": "1"}) as running:
        running.stdout.readline()
        running.stdout.close()
        assert running.wait(30) in (0, 141)
        assert running.stderr.read() == ""


def test_a_fault_of_the_program_shows_where_but_no_values(
    hookrow: Hookrow, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error keeps its traceback; its message, which may hold a secret, is left out."""

    canary = "-".join(["canary", "5ecret"])

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(canary)

    monkeypatch.setattr("hookrow.core.log.Log.page", broken)
    ran = hookrow("log", code=1)
    assert "RuntimeError" in ran.err
    assert "log.py" in ran.err
    assert canary not in ran.err + ran.out


def test_not_utf_8_is_no_end(made: Path, hookrow: Hookrow) -> None:
    """In a terminal that can't show a letter it is spelled, and nothing ends."""
    hookrow("hooks", "add", "--name", "Кофе ₽", "--url", "http://127.0.0.1/x", "--event", "on_subscription")
    with program(
        "hooks", "list", cwd=made.parent, env={"PYTHONIOENCODING": "koi8-r"}, text=False, by_exec=True
    ) as running:
        out, err = running.communicate(timeout=30)
        assert running.returncode == 0, err
    assert "Кофе \\u20bd".encode("koi8-r") in out
