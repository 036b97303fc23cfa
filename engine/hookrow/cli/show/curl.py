"""A request as a `curl` line that can be run: what is secret in it stands as a shell variable."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from hookrow.safetext import UNSAFE, in_shell

if TYPE_CHECKING:
    from hookrow.results import Request

__all__ = ["curl_line"]


def curl_line(request: Request) -> str:
    """The line. Variables: HOOK_LOGIN and HOOK_PASSWORD for basic auth, HOOK_… by the name of any other secret.

    `-g`: curl would take brackets and braces of the URL for several URLs. `--data-raw`: a body that begins with @ is no
    file's name. Names stand in single quotes, apart from the variable of their value: they come from outside as well.
    """
    from hookrow.results import MASK

    names = Variables()
    parts = ["curl", "-g", "-X", request.method, url_part(request.url, names)]
    for name, value in request.headers:
        if name.lower() == "authorization" and value.startswith("Basic "):
            parts += ["--user", '"$HOOK_LOGIN:$HOOK_PASSWORD"']
        elif MASK in value:
            parts += ["-H", f'{quoted(name + ": ")}"${names.new(name)}"']
        else:
            parts += ["-H", quoted(f"{name}: {value}")]
    return " ".join([*parts, "--data-raw", quoted(request.body)])


class Variables:
    """Names of shell variables: one a value, whatever the names of what they stand for have in common."""

    def __init__(self) -> None:
        self.used: Final = {"HOOK_LOGIN", "HOOK_PASSWORD"}

    def new(self, name: str) -> str:
        """A variable for a secret of this name."""
        plain = "HOOK_" + re.sub(r"\W", "_", name, flags=re.ASCII).upper()
        found, number = plain, 1
        while found in self.used:
            number += 1
            found = f"{plain}_{number}"
        self.used.add(found)
        return found


def url_part(url: str, names: Variables) -> str:
    """The URL; what is masked in its query becomes a variable: named by its parameter, HOOK_QUERY where it has none."""
    from hookrow.results import MASK

    if MASK not in url:
        return quoted(url)
    pieces = re.split(rf"([^?&=]+=)?{re.escape(MASK)}", url)
    text = quoted(pieces[0])
    for name, rest in zip(pieces[1::2], pieces[2::2], strict=True):
        text += (quoted(name) if name else "") + f'"${names.new(name[:-1] if name else "QUERY")}"'
        text += quoted(rest) if rest else ""
    return text


def quoted(text: str) -> str:
    """A shell word; control characters are written by `$'…'`, so that the line is safe to print and to paste."""
    if not UNSAFE.search(text.replace("\t", "")):
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return f"$'{in_shell(escaped)}'"
