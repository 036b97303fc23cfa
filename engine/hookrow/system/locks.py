"""Locks of ours in a child of fork: whoever held one at that moment does not exist there, and never lets go of it."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

__all__ = ["lock_for"]


class Owner(Protocol):
    """What keeps its lock as `lock`, and takes it from there each time."""

    lock: threading.RLock


owners: weakref.WeakSet[Owner] = weakref.WeakSet()


def lock_for(owner: Owner) -> threading.RLock:
    """The lock of an object, which gets another one in each child of fork.

    A signal's handler may come to it again in the thread that has it.
    """
    owners.add(owner)
    return threading.RLock()


def after_fork_in_child() -> None:
    for owner in list(owners):
        owner.lock = threading.RLock()


os.register_at_fork(after_in_child=after_fork_in_child)
