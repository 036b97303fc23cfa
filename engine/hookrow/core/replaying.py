"""What happened, again and on purpose: replay and redeliver (docs/replay.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hookrow.core.arrival import Arrival, traceparent_of
from hookrow.core.context import context_for
from hookrow.core.explaining import Explaining
from hookrow.core.firing import Run
from hookrow.core.threads.ending import over
from hookrow.delivery.states import ANSWERED
from hookrow.errors import EngineClosed, FiringNotFound, NotRedeliverable
from hookrow.hook.elsewhere import elsewhere
from hookrow.hook.modes import ROW_LIMIT, WAITING
from hookrow.ids import delivery_place, firing_uid
from hookrow.lang import Text
from hookrow.records import Delivery, Firing
from hookrow.results import Redelivered, Replayed
from hookrow.store import outbox
from hookrow.store.aside import aside
from hookrow.store.configuration.cache import Config
from hookrow.store.configuration.revisions import Changing
from hookrow.store.log import deeds
from hookrow.store.log.reading import attempt_from, attempts
from hookrow.store.outbox.settling import Settle
from hookrow.transport.attempt import AttemptResult, Dispatch, perform
from hookrow.worker.trouble import recorded

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hookrow.core.sending import Sending
    from hookrow.store.database.writer import Waiting

__all__ = ["Replaying"]

SETTLED = (*ANSWERED, "dropped", "cancelled")
"""States of a delivery that nobody needs to send any more, unless they name it as it is."""


class Replaying:
    """What was recorded, done again: as new firings, or as the same deliveries."""

    def __init__(self, explaining: Explaining, sending: Sending) -> None:
        self.explaining = explaining
        self.sending = sending
        self.runtime: Final = explaining.runtime

    # -- replay -------------------------------------------------------------------------------------------------------

    async def replay(
        self,
        ref: str,
        *,
        hook: int | str | None = None,
        to: str | None = None,
        with_auth: bool = False,
        payload: Mapping[str, Any] | None = None,
        dry_run: bool = False,
    ) -> Replayed:
        """Fire a recorded payload anew, through today's hooks or one of them. Raises FiringNotFound, InvalidInput."""
        runtime, to = self.runtime, elsewhere(to)
        number = None
        if hook is not None:
            number = (await aside(partial(self.explaining.hooks.find, hook), runtime.reading())).id
        config = await runtime.config_asked()
        uid = firing_uid(ref)
        recorded = None if uid is None else await runtime.firing(config, uid)
        if recorded is None or uid is None:
            raise FiringNotFound(Text("No firing or delivery with the ID {ref}", ref=ref))
        place = delivery_place(ref)
        if place is not None:
            its = next((each.hook.id for each in recorded.deliveries if each.seq == place[1]), None)
            if its is None:
                raise FiringNotFound(Text("No firing or delivery with the ID {ref}", ref=ref))
            number = its if number is None else number
        given = recorded.payload if payload is None else payload
        if dry_run:
            how: dict[str, Any] = {"hook": number, "url": to, "with_auth": with_auth, "replay_of": uid}
            steps = await aside(partial(self.explaining.explain, recorded.event, given, **how), runtime.reading())
            return Replayed(recorded, None, tuple(steps), next((step.now for step in steps if step.now), None))
        hooks = [each for each in config.rows.get(recorded.event, ()) if number is None or each.id == number]
        context = context_for(
            runtime,
            config,
            recorded.event,
            ROW_LIMIT,
            Arrival(replayed=traceparent_of(recorded.traceparent)),
            replay_of=uid,
            asked_by=runtime.author_name,
            url=to,
            with_auth=with_auth,
        )
        run = Run(runtime, context, given, hooks, handover=to is None)
        firing = await run.fire()
        author = runtime.author()
        await runtime.database.writer.awrite(
            Changing(author, lambda connection: deeds.note(connection, author, "replay", [recorded.id]))
        )
        firing.raise_for_error()  # a host goes on without its event's record, a person who asks for one does not
        now = next((told for told in map(run.row.now_for, hooks) if told), None)
        return Replayed(recorded, firing, now=now)

    # -- redeliver ----------------------------------------------------------------------------------------------------

    async def redeliver(
        self, ref: str, *, to: str | None = None, with_auth: bool = False, dry_run: bool = False
    ) -> list[Redelivered]:
        """Send recorded requests again: the same bytes, the same `webhook-id`. A firing's id: its failed deliveries.

        Of several, those that somebody else is sending are left to them.

        Raises:
            FiringNotFound, NotRedeliverable, InvalidInput
        """
        runtime, to = self.runtime, elsewhere(to)
        config = await runtime.config_asked()
        uid = firing_uid(ref)
        firing = None if uid is None else await runtime.firing(config, uid)
        if firing is None:
            raise FiringNotFound(Text("No firing or delivery with the ID {ref}", ref=ref))
        place = delivery_place(ref)
        chosen = [
            each
            for each in firing.deliveries
            if (each.seq == place[1] if place is not None else each.failed and each.body is not None)
        ]
        if place is not None and not chosen:
            raise FiringNotFound(Text("No firing or delivery with the ID {ref}", ref=ref))
        # All are judged before one is sent: a refusal must not hide what has left already.
        numbers = await aside(partial(self.next_numbers, chosen), runtime.reading())
        dispatches = [
            (each, self.dispatch_of(config, firing, each, number, to, with_auth))
            for each, number in zip(chosen, numbers, strict=True)
        ]
        if dry_run:
            return [Redelivered(each, None, self.explaining.request(dispatch)) for each, dispatch in dispatches]
        done, taken = [], None
        for each in chosen:
            try:
                result = await self.send_again(firing, each, to, with_auth)
            except NotRedeliverable as error:
                taken = error
            else:
                done.append(Redelivered(each, attempt_from(result.values, each.body), ok=result.error is None))
        if taken is not None and not done:
            raise taken
        return done

    def next_numbers(self, chosen: Sequence[Delivery]) -> list[int]:
        """The number of each one's next attempt; requests by hand and to other addresses are counted too."""
        with self.runtime.database.read() as reading:
            return [len(attempts(reading, each.row_id)) + each.takeovers + 1 for each in chosen]

    def dispatch_of(
        self, config: Config, firing: Firing, delivery: Delivery, number: int, to: str | None, with_auth: bool
    ) -> Dispatch:
        """The recorded request as one to make now, as the attempt of this number.

        Raises:
            NotRedeliverable: there never was one, or its hook is gone.
        """
        runtime = self.runtime
        hook = config.hooks.get(delivery.hook.id)
        if delivery.body is None:
            raise NotRedeliverable(Text("no request was ever sent for {ref}: replay it instead", ref=delivery.id))
        if delivery.candidate:
            raise NotRedeliverable(Text("{ref} was asked as a candidate: it is not sent again", ref=delivery.id))
        if hook is None or (hook.deleted and to is None):
            raise NotRedeliverable(Text("the hook of {ref} was deleted: give an address with --to", ref=delivery.id))
        waiting = delivery.mode in WAITING
        return Dispatch(
            hook=hook,
            webhook_id=delivery.id,
            event=firing.event,
            mode=delivery.mode,
            number=number,
            occurred_ms=firing.at_ms,
            body=delivery.body,
            timeout=hook.timeout,
            payload_limit=runtime.said_of(config)[0],
            payload=firing.payload if waiting else None,
            shadow=delivery.shadow,
            can_refuse=firing.moment == "before",
            deadline_ms=int(hook.timeout * 1000) if waiting else None,
            replay_of=firing.replay_of,
            depth=firing.depth,
            traceparent=traceparent_of(firing.traceparent),
            url=to,
            with_auth=with_auth,
            origin="redeliver",
            asked_by=runtime.author_name,
        )

    async def send_again(self, firing: Firing, delivery: Delivery, to: str | None, with_auth: bool) -> AttemptResult:
        """Take the row's lease first, so that no worker sends it meanwhile; then send, and record what came of it.

        Raises:
            NotRedeliverable: it is being sent right now, or was settled since it was looked up, or its hook is gone.
            Unrecorded: it was sent, and that could not be recorded.
        """
        runtime, writer, number = self.runtime, self.runtime.database.writer, delivery.row_id
        author = runtime.author()

        def lease(connection: Connection) -> outbox.Claimed:
            clock = runtime.database.clock
            claimed = outbox.lease_for_redelivery(
                connection,
                number,
                owner=runtime.owner,
                now_ms=clock.now_ms(),
                lease_now=clock.lease_ms(),
                in_hand=self.sending.in_hand,
            )
            if claimed.state in SETTLED and claimed.state != delivery.state:
                raise NotRedeliverable(
                    Text("{ref} has been settled in the meantime: it is not sent again", ref=delivery.id)
                )
            deeds.note(connection, author, "redeliver", [delivery.id])
            return claimed

        claimed = await self.leased(writer.begin(lease))
        try:
            config = await runtime.config_asked()
            dispatch = self.dispatch_of(
                config, firing, delivery, claimed.number, to, with_auth
            )  # the hook as it is now
            result = await perform(runtime.tools(config), dispatch)
        except BaseException:  # a cancelled one, too
            self.let_go(claimed)
            raise
        elsewhere = to is not None
        clock = runtime.database.clock
        job = Settle(claimed, result, clock.now_ms(), by_hand=True, elsewhere=elsewhere, lease_now=clock.lease_ms())
        await recorded(partial(writer.awrite, job), delivery.id)
        runtime.cache.forget()  # a 410 pauses the hook
        return result

    async def leased(self, taking: Waiting) -> outbox.Claimed:
        """The lease as it is committed. If the call is cancelled meanwhile, it is let go."""
        try:
            claimed: outbox.Claimed = await taking.future
        except asyncio.CancelledError:
            with suppress(Exception):  # it was not to be had
                self.let_go(await over(taking.awaited_again()))
            raise
        return claimed

    def let_go(self, claimed: outbox.Claimed) -> None:
        with suppress(EngineClosed):
            self.runtime.database.writer.submit(partial(outbox.let_go, claimed=claimed))

    # -- test ---------------------------------------------------------------------------------------------------------
