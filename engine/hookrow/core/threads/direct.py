"""Requests that calling threads make by themselves; what needs an event loop is done on one of `Loops`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from hookrow.core.threads.loops import Loops
from hookrow.hook.egress import Egress
from hookrow.store.configuration.cache import Config
from hookrow.transport import Transport
from hookrow.transport.attempt import Tools
from hookrow.transport.straight import StraightTransport, straight

if TYPE_CHECKING:
    from hookrow.core.drafts import FiringContext
    from hookrow.core.runtime import Runtime
    from hookrow.records import Firing

__all__ = ["Direct"]


class AskingFiring(Protocol):
    """A firing whose hooks are to be asked; `here`: what a thread makes requests with, without a loop."""

    here: Tools | None

    @property
    def key(self) -> str | None: ...

    @property
    def context(self) -> FiringContext: ...

    async def ask_hooks(self) -> Firing | None: ...


class Direct:
    """What the calling threads of one engine share."""

    def __init__(self, runtime: Runtime, loops: Loops) -> None:
        self.runtime = runtime
        self.loops = loops
        self.transport: Final = StraightTransport(Egress(), runtime.clock, loops.run, self.beside)
        self.made: tuple[Config, Tools] | None = None

    def asked(self, run: AskingFiring) -> Firing | None:
        """Have the firing ask its hooks: without a loop where it waits for one thing at a time."""
        alone = run.key is None and run.context.url is None and not run.context.together
        run.here = self.tools() if alone else None
        return (self.loops.run if run.here is None else straight)(run.ask_hooks())

    def tools(self) -> Tools | None:
        """What attempts in the calling thread are made with; None where the host brought a transport of its own."""
        runtime = self.runtime
        if runtime.given_transport is not None:
            return None
        config = runtime.cache.config or runtime.config()
        made = self.made
        if made is None or made[0] is not config or made[1].watch is not runtime.watch:  # a child has its own
            made = self.made = (config, runtime.tools_over(self.transport, config))
        return made[1]

    def beside(self) -> Transport:
        """The running loop's transport."""
        transport = self.runtime.tools(self.runtime.cache.config or self.runtime.config()).transport
        assert isinstance(transport, Transport)
        return transport

    def cancel(self) -> None:
        """Cut off what runs; no request is begun from now on."""
        self.transport.cancel()

    def close(self) -> None:
        """Close what is idle."""
        self.transport.close()
