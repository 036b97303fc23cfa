"""How one implementation serves both engines: blocking methods made awaitable, coroutines made blocking."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from hookrow.errors import UseAsyncEngine
from hookrow.hook.fields import hide_given
from hookrow.lang import Text

__all__ = ["Awaited", "awaited", "forbid_running_loop", "off_loops"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")

UNGUARDED = ("__init__", "data_version")
"""What a loop may call: it takes microseconds."""


class Awaited(Generic[S]):
    """An async door: it holds the blocking one (`inner`)."""

    def __init__(self, inner: S) -> None:
        self.inner = inner


def awaited(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[Awaited[S], P], Coroutine[Any, Any, T]]:
    """The method of a blocking door, run in a thread and awaited."""

    async def call(self: Awaited[S], /, *args: P.args, **kwargs: P.kwargs) -> T:
        hide_given(kwargs)
        return await asyncio.to_thread(method, self.inner, *args, **kwargs)

    functools.update_wrapper(call, method)
    return call


def forbid_running_loop() -> None:
    """A blocking call inside a running event loop would stop everything that runs on it.

    Raises:
        UseAsyncEngine: there is a running loop in this thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UseAsyncEngine(Text("this would block the running event loop: use AsyncHookEngine and await"))


def off_loops(door: type[S]) -> type[S]:
    """A blocking door's class whose public methods raise UseAsyncEngine on a running event loop."""

    def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            hide_given(kwargs)
            forbid_running_loop()
            return method(*args, **kwargs)

        return call

    methods = {name: guarded(each) for name, each in vars(door).items() if callable(each) and name not in UNGUARDED}
    return type(door.__name__, (door,), {**methods, "__doc__": door.__doc__})
