"""Who is at work: recorded with every change of a hook and every replay."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

from hookrow.payload import storable
from hookrow.store.configuration.revisions import ENGINE

__all__ = ["actor"]


def actor(environ: Mapping[str, str] | None = None) -> str:
    """The operating system's user, and the address that they came from over SSH: `olga@192.0.2.7`, else `olga`.

    By the process's user id, which no variable can change; with sudo also who called it: `root(olga)`.
    """
    env = os.environ if environ is None else environ
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user id without a name, as containers have
        user = f"uid{os.getuid()}"
    if env.get("SUDO_USER"):
        user = f"{user}({env['SUDO_USER']})"
    if user == ENGINE:  # a service's own user may be called so: what it does is not the engine's doing
        user = f"{user}(uid {os.getuid()})"
    client = env.get("SSH_CONNECTION", "").split(" ")[0] or env.get("SSH_CLIENT", "").split(" ")[0]
    return storable(f"{user}@{client}" if client else user)
