"""export and import: files, exit codes, what is shown, what is asked."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from cli_runs import Hookrow

Add = Callable[..., dict[str, Any]]


def test_there_and_back(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """What export writes is no change; on another database it makes the same hooks."""
    add("http://127.0.0.1:9/a?token=t", "--key", "stock")
    written = hookrow("export").out
    assert "No differences." in hookrow("import", "-", stdin=written).err
    hookrow("--db", "other.db", "init")
    hookrow("--db", "other.db", "import", "-", stdin=written)
    assert hookrow("--db", "other.db", "export").out == written
    jsonschema.validate(yaml.safe_load(written), hookrow("export", "--schema").json)


def test_a_file_is_written_whole_and_for_its_owner(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """0600 whatever the umask and whatever was there; where it can't be written nothing is left behind."""
    add("http://127.0.0.1:9/a?token=t")
    Path("hooks.yaml").write_text("old")
    Path("hooks.yaml").chmod(0o644)
    before = os.umask(0)
    try:
        hookrow("export", "-o", "hooks.yaml")
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("hooks.yaml").stat().st_mode) == 0o600
    assert Path("hooks.yaml").read_text("utf-8") == hookrow("export").out
    files = sorted(folder.iterdir())
    assert "missing" in hookrow("export", "-o", "missing/hooks.yaml", code=2).err
    assert sorted(folder.iterdir()) == files


def test_what_is_no_plain_file_stays_what_it_is(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """A link leads to the new file; a pipe, as a device, is written to."""
    add("http://127.0.0.1:9/")
    (folder / "kept").mkdir()
    for target in ("kept/hooks.yaml", "kept/none-yet.yaml"):
        Path("link.yaml").unlink(missing_ok=True)
        Path("link.yaml").symlink_to(target)
        hookrow("export", "-o", "link.yaml")
        assert Path("link.yaml").is_symlink()
        assert Path(target).read_text("utf-8") == hookrow("export").out
    os.mkfifo("pipe")
    reading = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        hookrow("export", "-o", "pipe")
        assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
        assert os.read(reading, 65_536).decode() == hookrow("export").out
    finally:
        os.close(reading)


def test_what_stdout_leads_to_is_added_to(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """`export -o /dev/stdout >> all.yaml`, and by the number of what is open: nothing is replaced or emptied."""
    add("http://127.0.0.1:9/")
    with Path("all.yaml").open("a") as file:
        file.write("# kept\n")
        file.flush()
        hookrow("export", "-o", f"/dev/fd/{file.fileno()}")
        assert os.path.samestat(os.fstat(file.fileno()), Path("all.yaml").stat())
    assert Path("all.yaml").read_text("utf-8") == "# kept\n" + hookrow("export").out


def test_a_dry_run_says_what_would_change(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """Field by field, with the row's new time; --json is one object; nothing is written."""
    add("http://127.0.0.1:9/a", "--key", "stock", "--wait-for-response", "--timeout", 2)
    Path("hooks.yaml").write_text(json.dumps({"hookrow": 1, "hooks": {"stock": {"timeout": 4}}}))
    shown = hookrow("import", "hooks.yaml", "--dry-run")
    assert "timeout: 2.0 → 4.0" in shown.out
    assert "may wait 4 s" in shown.out
    found = hookrow("import", "hooks.yaml", "--dry-run", "--json").json
    assert found == {
        "changes": [{"key": "stock", "action": "change", "fields": {"timeout": [2.0, 4.0]}, "sources": {}}],
        "rows": [{"event": "before_order_add", "before": 2.0, "after": 4.0}],
        "warnings": [],
        "events": [],
        "rehearsals": [],
        "applied": False,
    }
    assert hookrow("hooks", "show", "stock", "--json").json["timeout"] == 2
    assert hookrow("import", "hooks.yaml", "--json").json["applied"]
    assert hookrow("hooks", "history", "stock", "--json").lines[0]["action"] == "import"


def test_secrets_come_from_beside_the_file(hookrow: Hookrow, made: Path, folder: Path) -> None:
    """A relative path leads from the file's folder."""
    (folder / "conf").mkdir()
    (folder / "conf" / "pw").write_text("canary\n")
    hook = {"name": "x", "event": "on_subscription", "url": "http://127.0.0.1:9/", "auth_login": "a"}
    source = {"hookrow": 1, "hooks": {"x": {**hook, "auth_password": "file:pw"}}}
    (folder / "conf" / "hooks.yaml").write_text(json.dumps(source))
    ran = hookrow("import", "conf/hooks.yaml")
    assert "canary" not in ran.out + ran.err
    assert hookrow("hooks", "show", "x", "--json").json["auth_password"] == {"set": True}


def test_pruning_is_asked_about(add: Add, hookrow: Hookrow) -> None:
    """Without a terminal only --yes is an answer; what goes is named first."""
    add("http://127.0.0.1:9/a", "--key", "stock")
    empty = "hookrow: 1\nhooks: {}\n"
    assert "--yes" in hookrow("import", "-", "--prune", stdin=empty, code=2).err
    assert hookrow("hooks", "list", "--json").lines
    assert "- stock" in hookrow("import", "-", "--prune", "--dry-run", stdin=empty).out
    hookrow("import", "-", "--prune", "--yes", stdin=empty)
    assert hookrow("hooks", "list", "--json").lines == []


def test_faults_are_refused_with_their_lines(hookrow: Hookrow, made: Path) -> None:
    """Exit 5, each in a sentence; no file 2; a damaged form 5."""
    ran = hookrow("import", "-", stdin="hookrow: 1\nhooks:\n  x:\n    naem: x\n", code=5)
    assert "line 4, x.naem: There is no such field; did you mean name?" in ran.err
    assert "line 3, x.url: A value is required." in ran.err
    hookrow("import", "missing.yaml", code=2)
    hookrow("import", "-", stdin="", code=5)
    assert hookrow("hooks", "list", "--json").lines == []


def test_an_edit_too_late_shows_three_sides(add: Add, hookrow: Hookrow) -> None:
    """What was edited, what was to be written, what is there and by whom; exit 5; the way on is told."""
    add("http://127.0.0.1:9/a", "--key", "stock")
    hookrow("hooks", "edit", "stock", "--timeout", 9, "--position", 77)
    ran = hookrow("hooks", "edit", "stock", "--timeout", "7", "--name", "Mine", "--revision", 1, "--json", code=5)
    rows = {each["field"]: each for each in ran.json["conflict"]}
    assert (rows["timeout"]["base"], rows["timeout"]["mine"], rows["timeout"]["theirs"]) == (5.0, 7.0, 9.0)
    assert (rows["name"]["mine"], rows["name"]["by"]) == ("Mine", None)
    assert (rows["position"]["mine"], rows["position"]["theirs"]) == (10, 77)
    assert ran.json["revision"] == 2
    shown = hookrow("hooks", "edit", "stock", "--timeout", "7", "--revision", 1, code=5)
    assert "--revision 2" in shown.err
    hookrow("hooks", "edit", "stock", "--timeout", "7", "--revision", 2)
    assert hookrow("hooks", "show", "stock", "--json").json["position"] == 77


def test_a_rollback_by_hand(add: Add, hookrow: Hookrow) -> None:
    """A new revision; refused where the hook is no longer the one that was looked at."""
    add("http://127.0.0.1:9/a", "--key", "stock")
    hookrow("hooks", "edit", "stock", "--timeout", 9)
    hookrow("hooks", "rollback", "stock", 1, "--current", 1, code=5)
    assert hookrow("hooks", "rollback", "stock", 1, "--current", 2, "--json").json["timeout"] == 5
    newest = hookrow("hooks", "history", "stock", "--json").lines[0]
    assert (newest["action"], newest["changes"]) == ("rollback", {"timeout": [9.0, 5.0]})
    hookrow("hooks", "rollback", "stock", 99, code=4)


def test_figures_of_each_hook(add: Add, hookrow: Hookrow) -> None:
    """hooks stats, all or some; the list shows the day's."""
    add("http://127.0.0.1:9/a", "--key", "stock", "--wait-for-response")
    add("http://127.0.0.1:9/a", "--key", "quiet", event="on_subscription")
    hookrow("fire", "before_order_add")
    found = {each["hook"]["key"]: each for each in hookrow("hooks", "stats", "--json").lines}
    assert (found["stock"]["day"]["calls"], found["stock"]["week"]["errors"]) == (1, 1)
    assert (found["quiet"]["day"]["calls"], found["quiet"]["day"]["p95_ms"]) == (0, None)
    [only] = hookrow("hooks", "stats", "stock", "--json").lines
    assert only["hook"]["key"] == "stock"
    assert "p95" in hookrow("hooks", "stats").out.split("\n")[0]
    assert hookrow("hooks", "list").out.split("\n")[1].split()[-4:-2] == ["1", "1"]


def test_periods_are_said_in_the_list(add: Add, hookrow: Hookrow) -> None:
    """A hook that waits, one that ends soon, one that is over: how long, in the largest unit."""
    add("http://127.0.0.1:9/a", "--valid-from", "+4d", name="waits")
    add("http://127.0.0.1:9/a", "--valid-until", "+6h", name="ends")
    add("http://127.0.0.1:9/a", "--valid-from", "01.01.2020", "--valid-until", "02.01.2020", name="over")
    add("http://127.0.0.1:9/a", "--valid-until", "01.01.2999", name="far")
    shown = {line.split()[3]: line for line in hookrow("hooks", "list").out.split("\n")[1:] if line}
    assert "starts in 3 d" in shown["waits"]
    assert "ends in 5 h" in shown["ends"]
    assert " d ago" in shown["over"]
    assert "ends in" not in shown["far"]
    russian = hookrow("--lang", "ru", "hooks", "list").out
    assert "начнётся через 3 д" in russian
    assert "истекает через 5 ч" in russian


def test_gates_asked_together_as_a_command_and_in_a_file(hookrow: Hookrow) -> None:
    """`events set` says what it means; `events`, `explain`, export and import know it; another event is refused."""
    hookrow("init")
    for name in ("One", "Two"):
        hookrow("hooks", "add", "--name", name, "--event", "before_order_add", "--url", "http://localhost:9/x",
                "--wait-for-response", "--position", 10)  # fmt: skip
    assert "behind a refusal are asked too" in hookrow("events", "set", "before_order_add", "--together").err
    assert "asked together: before_order_add" in hookrow("events").out
    told = {each["code"]: each["together"] for each in hookrow("events", "--json").lines}
    assert [code for code, on in told.items() if on] == ["before_order_add"]
    assert "Asked together: One, Two" in hookrow("explain", "before_order_add").out
    assert [each["together"] for each in hookrow("explain", "before_order_add", "--json").lines] == [1, 1]
    hookrow("export", "-o", "hooks.yaml")
    assert "one after another" in hookrow("events", "set", "before_order_add", "--no-together").err
    assert "Asked together" not in hookrow("explain", "before_order_add").out
    dry = hookrow("import", "hooks.yaml", "--dry-run")
    assert "together: false → true" in dry.out
    assert "may wait 5 s for its hooks (now 10 s)" in dry.out
    assert "1 changed" in hookrow("import", "hooks.yaml").err
    assert "together:before_order_add" in hookrow("settings", "list").out
    hookrow("events", "set", "after_registration", "--together", code=5)
    hookrow("events", "set", "nothing", "--together", code=4)
    hookrow("events", "set", "before_order_add", code=2)
