"""What the pages for admins say of files and findings is what the program takes and finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hookrow import HookEngine
from hookrow.hook.fields import FIELDS, HEADER_VALUE
from hookrow.hookfile import export_hooks, import_hooks

ROOT = Path(__file__).parents[2]


def test_the_documented_file_of_hooks_can_be_imported(tmp_path: Path) -> None:
    """It names every field, and comes back from export as it is written but for its secrets."""
    page = (ROOT / "docs" / "hooks-as-code.md").read_text("utf-8")
    [written] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "source.txt").write_text("shop\n")
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        done = import_hooks(engine, written, folder=tmp_path, environ={"HOOKROW_SECRET_STOCK": "secret"})
        again = yaml.safe_load(export_hooks(engine))["hooks"]["stock"]
    assert [each.action for each in done.changes] == ["add"]
    given = yaml.safe_load(written)["hooks"]["stock"]
    assert set(given) == {each.code for each in FIELDS} - {"key"} | {HEADER_VALUE}
    plain = set(given) - {"auth_password", "custom_header_value", "signing_secret"}
    assert {code: again[code] for code in plain} == {code: given[code] for code in plain}


@pytest.mark.parametrize("page", ["admin.md", "admin.ru.md"])
def test_every_finding_of_doctor_is_documented(page: str) -> None:
    """By its code, and nothing else is."""
    source = (ROOT / "engine" / "hookrow" / "cli" / "show" / "findings.py").read_text("utf-8")
    text = (ROOT / "docs" / page).read_text("utf-8")
    table = text[text.index("`paused_stop`") :].partition("\n\n")[0]
    documented = {code for row in table.split("\n") for code in re.findall(r"`([a-z_]+)`", row.split(" | ")[0])}
    assert documented == set(re.findall(r'Finding\(\s*"([a-z_]+)"', source))
