"""The README's quickstart is a program, and runs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from receivers import Receiver, reply
from warm import run_warm

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.ru.md")


def quickstart(name: str) -> tuple[str, str]:
    """The program in a README, and what it shows as printed."""
    text = (ROOT / name).read_text("utf-8")
    [(code, shown)] = re.findall(r"<!-- quickstart -->\n```python\n(.*?)```\n[^`]*```\n(.*?)```", text, re.DOTALL)
    return code, shown


def printed(code: str, folder: Path, start: Callable[..., subprocess.CompletedProcess[str]]) -> str:
    """What a program prints, started in an empty folder."""
    ran = start([sys.executable, "-c", code], cwd=folder, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_the_quickstart_runs_as_it_stands(tmp_path: Path) -> None:
    """Against a receiver that allows everything it prints what the page shows; of one that changes the order, how."""
    program, shown = quickstart(READMES[0])
    json = [("content-type", "application/json")]
    changed = b'{"data": {"order": {"total": 1000}}}'
    with Receiver(reply(200, b'{"allow": true}', json), reply(200, changed, json)) as receiver:
        code = program.replace("http://127.0.0.1:8920", receiver.url.rstrip("/"))
        cold = partial(subprocess.run, capture_output=True, text=True)
        plain, better = [re.sub(r"[0-9]+ ms", "4 ms", printed(code, tmp_path, start)) for start in (cold, run_warm)]
        [request, _] = receiver.wait(2)
    assert plain == shown
    assert better == "Stock changed 200 4 ms\nallowed {'order': {'id': 7, 'total': 1000}}\n"
    assert request.json()["data"] == {"order": {"id": 7, "total": 1290}}


def test_both_readmes_show_the_same_code() -> None:
    """What a Russian reader copies, and is shown, is what an English reader copies, and is shown."""
    (english, printed_en), (russian, printed_ru) = map(quickstart, READMES)
    assert [re.sub(r" +#.*", "", code) for code in (english, printed_en)] == [
        re.sub(r" +#.*", "", code) for code in (russian, printed_ru)
    ]
