"""`engine.hooks` of `AsyncHookEngine`: the blocking door's methods, awaited."""

from __future__ import annotations

from typing import Final

from hookrow.core.hooks import Hooks
from hookrow.core.threads.bridge import Awaited, awaited

__all__ = ["AsyncHooks"]


class AsyncHooks(Awaited[Hooks]):
    """`Hooks`, awaited."""

    add: Final = awaited(Hooks.add)
    ensure: Final = awaited(Hooks.ensure)
    get: Final = awaited(Hooks.get)
    list: Final = awaited(Hooks.list)
    update: Final = awaited(Hooks.update)
    move: Final = awaited(Hooks.move)
    remove: Final = awaited(Hooks.remove)
    restore: Final = awaited(Hooks.restore)
    change_several: Final = awaited(Hooks.change_several)
    move_several: Final = awaited(Hooks.move_several)
    try_candidate: Final = awaited(Hooks.try_candidate)
    promote: Final = awaited(Hooks.promote)
    drop_candidate: Final = awaited(Hooks.drop_candidate)
    last_change: Final = awaited(Hooks.last_change)
    undo: Final = awaited(Hooks.undo)
    pause: Final = awaited(Hooks.pause)
    resume: Final = awaited(Hooks.resume)
    new_secret: Final = awaited(Hooks.new_secret)
    history: Final = awaited(Hooks.history)
    rollback: Final = awaited(Hooks.rollback)
    example: Final = awaited(Hooks.example)
    preview: Final = awaited(Hooks.preview)
    refused_address: Final = awaited(Hooks.refused_address)
