"""What importing the engine costs, and what it never brings along. Each look is taken by a fresh interpreter."""

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hookrow

ROOT = Path(__file__).parents[2]
# Alembic runs its own scripts; `python -m hookrow` is the command line.
NOT_IMPORTED = ("hookrow.store.database.migrations", "hookrow.__main__", "hookrow.cli.example.__main__")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(hookrow.__path__, "hookrow.")
    if not module.name.startswith(NOT_IMPORTED)
)
HEAVY = {"sqlmodel", "sqlalchemy", "httpx", "pydantic", "alembic", "textual"}


def loaded_after(code: str) -> set[str]:
    """The top-level modules that an interpreter holds after running the code."""
    before = f"import sys; sys.path[:0] = {[str(ROOT / 'engine'), str(ROOT / 'tui')]!r}\n"
    after = "\nimport json; print(); print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", before + code + after], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_front_door_is_lazy() -> None:
    """`import hookrow` loads neither models nor HTTP (PEP 562): a service pays when it first needs them."""
    loaded = loaded_after("import hookrow; dir(hookrow)")
    assert "hookrow" in loaded
    assert loaded & HEAVY == set()


def test_help_is_quick() -> None:
    """`hookrow --help` needs click only."""
    code = (
        "from hookrow.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code"
    )
    assert loaded_after(code) & HEAVY == set()


def test_a_receiver_for_developers_needs_no_engine() -> None:
    """`hookrow listen` loads the testing kit's small server, and neither SQLAlchemy nor an HTTP client with it."""
    assert loaded_after("import hookrow.cli.commands.listen") & HEAVY == set()


def test_a_request_of_our_own_needs_no_httpx(tmp_path: Path) -> None:
    """7 MB that only a transport that was given brings, or a URL that must be spelled anew."""
    code = (
        "from hookrow import Hook, HookEngine\n"
        f"with HookEngine({f'sqlite:///{tmp_path}/hooks.db'!r}, worker=False) as engine:\n"
        "    at = 'http://127.0.0.1:9/x?y=1'\n"
        "    hook = dict(name='a', event='after_registration', url=at, wait_for_response=True)\n"
        "    engine.hooks.add(Hook(**hook))\n"
        "    assert engine.fire('after_registration', {}).deliveries[0].error in ('connect_error', 'blocked_address')"
    )
    assert loaded_after(code) & {"httpx", "werkzeug"} == set()


def test_who_only_fires_needs_no_models(tmp_path: Path) -> None:
    """16 MB that come with `Hook` (pydantic, SQLModel, the ORM), 2 with the other database's dialect; and of our own
    modules none that looks at the log, changes hooks or fires anew."""
    url = f"sqlite:///{tmp_path}/hooks.db"
    with hookrow.HookEngine(url, worker=False) as engine:
        engine.hooks.add(hookrow.Hook(name="a", event="after_registration", url="http://127.0.0.1:9/"))
    code = (
        "import sys\nfrom hookrow import HookEngine\n"
        f"with HookEngine({url!r}) as engine:\n"
        "    assert engine.fire('after_registration', {}).deliveries[0].state == 'queued'\n"
        "    ours = {f'hookrow.core.{part}' for part in ('log', 'hooks', 'replaying', 'explaining', 'insight')}\n"
        "    assert ours & sys.modules.keys() == set()\n"
        "    assert engine.log.page()[0].event == 'after_registration'\n"
        "assert {'sqlalchemy.orm', 'sqlalchemy.dialects.postgresql'} & sys.modules.keys() == set()"
    )
    assert loaded_after(code) & {"sqlmodel", "pydantic", "alembic"} == set()


def test_the_testing_kit_gives_all_that_it_names() -> None:
    """Each name of `hookrow.testing`, at its first use."""
    missing = "[name for name in kit.__all__ if getattr(kit, name, None) is None]"
    assert "hookrow" in loaded_after(
        f"import hookrow.testing as kit\nassert not {missing}\nassert set(kit.__all__) <= set(dir(kit))"
    )


def test_a_glance_needs_no_engine(tmp_path: Path) -> None:
    """The terminal interface's first list is read by SQLite's driver alone."""
    with hookrow.HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False):
        code = f"from hookrow.glance import glance\nassert glance('sqlite:///{tmp_path}/hooks.db').summary.queue == 0"
        assert loaded_after(code) & HEAVY == set()


def test_the_engine_never_loads_the_interface() -> None:
    """All of the engine's modules together bring neither Textual nor the terminal interface."""
    loaded = loaded_after(f"import importlib\nfor name in {MODULES!r}:\n    importlib.import_module(name)")
    assert HEAVY - {"textual", "alembic"} <= loaded  # a schema that is up to date never loads alembic
    assert loaded & {"textual", "hookrow_tui"} == set()


def test_every_name_of_the_front_door_is_there() -> None:
    """Each name in `__all__` resolves, and `dir()` shows it."""
    assert {name for name in hookrow.__all__ if getattr(hookrow, name, None) is None} == set()
    assert set(hookrow.__all__) <= set(dir(hookrow))


@pytest.mark.parametrize("package", sorted({".".join(name.split(".")[:2]) for name in MODULES}))
def test_every_module_says_what_it_gives(package: str) -> None:
    """A module has a docstring and an `__all__` of names that exist, and no underscore to hide behind."""
    for name in (each for each in MODULES if f"{each}.".startswith(f"{package}.")):
        module = importlib.import_module(name)
        assert module.__doc__, name
        assert [each for each in module.__all__ if not hasattr(module, each)] == [], name
        assert not name.rpartition(".")[2].startswith("_"), name


def test_importing_the_fields_loads_nothing_heavy() -> None:
    """`hookrow.hook.fields` stands on the standard library alone, so that help and completion start at once."""
    heavy = ("sqlmodel", "pydantic", "httpx", "click", "werkzeug", "minijinja", "cryptography", "textual")
    code = f"import sys, hookrow.hook.fields; print([m for m in {heavy!r} if m in sys.modules])"
    root = Path(__file__).parents[2] / "engine"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(root)}
    )
    assert done.stdout.strip() == "[]"


def test_no_source_cites_a_page_that_nobody_has() -> None:
    """Rules are cited by a page of docs/ that is there."""
    for path in [*(ROOT / "engine").rglob("*.py"), *(ROOT / "tui").rglob("*.py")]:
        source = path.read_text("utf-8")
        assert not re.search(r"DESIGN \d", source), path
        assert [page for page in re.findall(r"\bdocs/[\w/-]+\.md", source) if not (ROOT / page).exists()] == [], path
