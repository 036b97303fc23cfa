"""Two editors and an import work on the same hooks at once, and no edit is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookrow import Hook, HookEngine
from hookrow.errors import ChangedMeanwhile, InvalidImport
from hookrow.hookfile import export_hooks, import_hooks

EVENT = "before_order_add"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with one hook."""
    url = f"sqlite:///{tmp_path}/hooks.db"
    with HookEngine(url, worker=False) as engine:
        engine.hooks.add(Hook(key="stock", name="=", event=EVENT, url="http://receiver.test/"))
    return url


@pytest.fixture
def olga(url: str) -> Iterator[HookEngine]:
    """An editor."""
    with HookEngine(url, worker=False) as engine:
        yield engine


@pytest.fixture
def ivan(url: str) -> Iterator[HookEngine]:
    """Another one, in another process as far as the engine knows."""
    with HookEngine(url, worker=False) as engine:
        yield engine


def test_a_file_with_revisions_merges(olga: HookEngine, ivan: HookEngine) -> None:
    """What the file changed since it was written is taken, what others changed stays."""
    written = export_hooks(olga, revisions=True)
    ivan.hooks.update("stock", position=77, auth_password="secret")
    done = import_hooks(olga, written.replace("timeout: 5", "timeout: 7"))
    assert done.changes[0].fields == (("timeout", 5.0, 7.0),)
    kept = ivan.hooks.get("stock")
    assert (kept.position, kept.timeout, kept.auth_password is not None) == (77, 7, True)
    assert not import_hooks(olga, written.replace("timeout: 5", "timeout: 7")).changed


def test_a_conflict_is_refused_with_its_three_sides(olga: HookEngine, ivan: HookEngine) -> None:
    """The field, what it was, the file's value, the database's, and who changed it; nothing is written."""
    written = export_hooks(olga, revisions=True)
    ivan.hooks.update("stock", timeout=9)
    with pytest.raises(InvalidImport) as caught:
        import_hooks(olga, written.replace("timeout: 5", "timeout: 7"))
    [problem] = caught.value.problems
    assert "stock.timeout" in problem.field
    who = olga.hooks.history("stock")[0].who
    assert all(each in str(problem.text) for each in ("5.0", "7.0", "9.0", who))
    assert olga.hooks.get("stock").timeout == 9


@pytest.mark.parametrize("theirs", [10, 30])
def test_a_hook_that_a_file_moves_keeps_its_position(olga: HookEngine, ivan: HookEngine, theirs: int) -> None:
    """At the other event too, as without revisions; one that was changed meanwhile is the other side's."""
    ivan.hooks.add(Hook(key="last", name="L", event="before_user_update", url="http://receiver.test/", position=50))
    written = export_hooks(olga, revisions=True, keys=["stock"]).replace(EVENT, "before_user_update")
    assert "position: 10" in written
    if theirs != 10:
        ivan.hooks.update("stock", position=theirs)
    import_hooks(olga, written)
    assert (olga.hooks.get("stock").event, olga.hooks.get("stock").position) == ("before_user_update", theirs)


def test_a_revision_that_never_was_is_refused(olga: HookEngine) -> None:
    """A file from another database has no common past with this one."""
    written = export_hooks(olga, revisions=True).replace("revision: 1", "revision: 41")
    with pytest.raises(InvalidImport, match="revision"):
        import_hooks(olga, written.replace("timeout: 5", "timeout: 7"))


def test_two_editors_and_an_import_lose_nothing(url: str, olga: HookEngine, ivan: HookEngine) -> None:
    """Each adds to one and the same field what it reads there, at once: in the end every one of the additions is there.

    Editors say which revision they read and begin anew on a conflict; the import's file carries its revision.
    """
    turns = 12
    conflicts = []

    def edits(engine: HookEngine, mark: str) -> None:
        done = 0
        while done < turns:
            read = engine.hooks.get("stock")
            try:
                engine.hooks.update("stock", name=f"{read.name}{mark}", revision=read.revision)
                done += 1
            except ChangedMeanwhile:
                conflicts.append(mark)

    def imports() -> None:
        with HookEngine(url, worker=False) as engine:
            done = 0
            while done < turns:
                written = export_hooks(engine, revisions=True)
                name = next(line for line in written.split("\n") if line.startswith("    name: "))
                try:
                    import_hooks(engine, written.replace(name, f"{name}i"))
                    done += 1
                except (InvalidImport, ChangedMeanwhile):
                    conflicts.append("i")

    workers = [
        threading.Thread(target=edits, args=(olga, "o")),
        threading.Thread(target=edits, args=(ivan, "v")),
        threading.Thread(target=imports),
    ]
    for each in workers:
        each.start()
    for each in workers:
        each.join(60)
    name = olga.hooks.get("stock").name
    assert {mark: name.count(mark) for mark in "ovi"} == {"o": turns, "v": turns, "i": turns}
    actions = [each.action for each in olga.hooks.history("stock")]
    assert (actions.count("edit"), actions.count("import")) == (2 * turns, turns)


def test_an_import_overtaken_by_an_edit_looks_again(
    olga: HookEngine, ivan: HookEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look and its transaction somebody edits another field: both are kept."""
    from hookrow.hookfile.importing import Importer

    write = Importer.write

    def overtaken(self: Importer, steps: list[object]) -> None:
        monkeypatch.setattr(Importer, "write", write)
        ivan.hooks.update("stock", position=77)
        write(self, steps)  # type: ignore[arg-type]

    monkeypatch.setattr(Importer, "write", overtaken)
    new = {"name": "N", "event": EVENT, "url": "http://receiver.test/"}
    import_hooks(olga, json.dumps({"hookrow": 1, "hooks": {"stock": {"timeout": 7}, "new": new}}))
    kept = olga.hooks.get("stock")
    assert (kept.position, kept.timeout, kept.revision) == (77, 7, 3)
    assert len(olga.hooks.list()) == 2
