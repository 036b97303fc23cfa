"""The programs of docs/ run: each page's blocks in order, as one program; the receivers to copy, too."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hookrow import Hook, Secret
from hookrow.testing import MemoryEngine
from receivers import Receiver, reply
from warm import run_warm

DOCS = Path(__file__).parents[2] / "docs"
PROGRAM = re.compile(r"<!-- runs -->\n```python\n(.*?)```", re.DOTALL)
PAGES = sorted(page for page in DOCS.glob("*.md") if PROGRAM.search(page.read_text("utf-8")))
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


ONE_BY_ONE = """
import json, os, sys
for name, program in json.loads(sys.argv[1]).items():
    os.mkdir(name)
    os.chdir(name)
    exec(compile(program, name, "exec"), {"__name__": "__main__"})
    os.chdir("..")
"""


def test_the_pages_programs_run(tmp_path: Path) -> None:
    """Each from an empty folder, against a real receiver that allows everything."""
    with Receiver(reply(200, b"{}")) as receiver:
        programs = {page.name: "\n".join(PROGRAM.findall(page.read_text("utf-8"))) for page in PAGES}
        given = json.dumps(programs).replace("http://127.0.0.1:8920", receiver.url.rstrip("/"))
        ran = run_warm([sys.executable, "-c", ONE_BY_ONE, given], cwd=tmp_path, timeout=200)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_pages_with_programs_are_found() -> None:
    """A pattern that finds nothing would test nothing."""
    found = {page.name for page in PAGES}
    assert found >= {"firing.md", "transactions.md", "middleware.md", "testing.md", "observability.md"}


def test_the_program_of_every_name_runs(tmp_path: Path) -> None:
    """What the pages have no example of."""
    program = Path(__file__).with_name("every_name.py")
    ran = run_warm([sys.executable, str(program)], cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")


def block(mark: str) -> str:
    """The receiver under this mark of docs/receivers.md."""
    [code] = re.findall(rf"<!-- {mark} -->\n```\w+\n(.*?)```", (DOCS / "receivers.md").read_text("utf-8"), re.DOTALL)
    return str(code)


@contextmanager
def serving(command: list[str], folder: Path, ready: str, **more: str) -> Iterator[str]:
    """A receiver as a process of its own; what it writes until it is ready, and its end."""
    environ = os.environ | {"SECRET": SECRET, "PYTHONUNBUFFERED": "1"} | more
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as running:
        assert running.stdout is not None
        try:
            for line in running.stdout:
                if found := re.search(ready, line.decode()):
                    yield found[1]
                    break
        finally:
            running.kill()


def check_receiver(url: str) -> None:
    """It takes what is signed, vetoes by its own rule, and refuses what somebody else signed."""
    with MemoryEngine() as engine:
        ask = Hook(
            key="ask", name="Ask", event="before_order_add", url=url, wait_for_response=True, signing_secret=SECRET
        )
        engine.hooks.add(ask)
        assert engine.fire("before_order_add", {"order": {"total": 10, "name": "Кружка"}}).allowed
        veto = engine.fire("before_order_add", {"order": {"total": 1001}}).veto
        assert veto is not None
        assert (veto.message, veto.code) == ("Out of stock", "STOCK")
        other = "whsec_" + base64.b64encode(bytes(32)).decode()
        engine.hooks.update("ask", signing_secret=Secret(other), on_failure="stop")
        refused = engine.fire("before_order_add", {"order": {"total": 10}})
        assert (refused.outcome, refused.deliveries[0].status) == ("failed", 401)


SERVE = """
from wsgiref.simple_server import make_server
server = make_server("127.0.0.1", 0, app)
print("ready", server.server_port, flush=True)
server.serve_forever()
"""


def test_the_flask_receiver_can_be_copied(tmp_path: Path) -> None:
    """As a process of its own, on a server of the standard library."""
    (tmp_path / "receiver.py").write_text(block("flask") + SERVE, "utf-8")
    with serving([sys.executable, "receiver.py"], tmp_path, r"ready (\d+)") as port:
        check_receiver(f"http://127.0.0.1:{port}/orders")


def test_the_express_receiver_can_be_copied(tmp_path: Path) -> None:
    """Where Node and Express are installed (NODE_PATH); its signature check runs wherever Node is, see below."""
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", 'require("express")'], capture_output=True, check=False).returncode:
        pytest.skip("needs Node and Express")
    code = block("express").replace(
        ', "127.0.0.1");', ', "127.0.0.1", function () { console.log("ready", this.address().port); });'
    )
    code = code.replace("process.env.PORT || 3000", "0")
    (tmp_path / "receiver.js").write_text(code, "utf-8")
    with serving([node, "receiver.js"], tmp_path, r"ready (\d+)") as port:
        check_receiver(f"http://127.0.0.1:{port}/orders")


def test_the_signature_check_in_python(tmp_path: Path) -> None:
    """On a request that the engine has really sent: genuine, tampered with, and too old."""
    code = block("flask")
    names: dict[str, object] = {}
    check = code[code.index("def is_genuine") : code.index("@app.post")]
    exec("import base64, hashlib, hmac, time\n" + check, names)
    is_genuine = names["is_genuine"]
    assert callable(is_genuine)
    for genuine, headers, body in requests():
        assert is_genuine(SECRET, headers, body) is genuine


def test_the_signature_check_in_node(tmp_path: Path) -> None:
    """The same requests."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node")
    code = block("express")
    check = code[code.index("function isGenuine") : code.index("const app")]
    for genuine, headers, body in requests():
        arguments = [SECRET, *(f"{key}={value}" for key, value in headers.items())]
        program = (
            'const crypto = require("node:crypto");\n' + check + "const [secret, ...pairs] = process.argv.slice(2);\n"
            "const split = (pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];\n"
            "const headers = Object.fromEntries(pairs.map(split));\n"
            'console.log(isGenuine(secret, headers, require("fs").readFileSync(0)));\n'
        )
        (tmp_path / "check.js").write_text(program, "utf-8")
        ran = subprocess.run([node, "check.js", *arguments], cwd=tmp_path, input=body, capture_output=True, check=False)
        assert (ran.stdout.decode().strip(), ran.stderr) == (str(genuine).lower(), b"")


def requests() -> list[tuple[bool, dict[str, str], bytes]]:
    """What the engine sends, what somebody made of it, and the same six minutes later."""
    with Receiver(reply(200)) as receiver, MemoryEngine() as engine:
        engine.hooks.add(
            Hook(
                key="a",
                name="A",
                event="before_order_add",
                url=receiver.url,
                wait_for_response=True,
                signing_secret=SECRET,
            )
        )
        engine.fire("before_order_add", {"order": {"name": "Кружка"}})
        [sent] = receiver.wait(1)
    headers = {key.lower(): value for key, value in sent.headers if key.lower().startswith("webhook-")}
    old = str(int(headers["webhook-timestamp"]) - 360)
    two = f"v1,{'A' * 43}= {headers['webhook-signature']}"
    return [
        (True, headers, sent.body),
        (True, headers | {"webhook-signature": two}, sent.body),
        (False, headers, sent.body + b" "),
        (False, headers | {"webhook-timestamp": old}, sent.body),
    ]
