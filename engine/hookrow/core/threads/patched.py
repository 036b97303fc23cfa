"""Hosts whose threads are none: gevent and eventlet put others in the place of Python's."""

from __future__ import annotations

import _thread
import socket

from hookrow.errors import UnsupportedHost
from hookrow.lang import Text

__all__ = ["require_real_threads"]

PATCHERS = {"gevent", "eventlet"}


def require_real_threads() -> None:
    """Refuse a process whose threads or sockets are patched.

    An event loop in such a thread keeps all others from running, and a wait inside one never ends.

    Raises:
        UnsupportedHost
    """
    for each in (_thread.start_new_thread, socket.socket):
        patcher = each.__module__.partition(".")[0]
        if patcher in PATCHERS:
            raise UnsupportedHost(
                Text(
                    "{patcher} has replaced this process's threads, and hooks can't be called from them: use real "
                    "threads (gunicorn -k gthread, celery --pool threads), or call hooks from another process",
                    patcher=patcher,
                )
            )
