"""What happened, again and on purpose: explain, replay, redeliver, and the test of a hook (DESIGN 13)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hookrow.clock import from_ms
from hookrow.core.firing import Run
from hookrow.core.occasion import occasion_for
from hookrow.core.row import Occasion, Row, Share
from hookrow.delivery import plan
from hookrow.delivery.concealing import Concealer
from hookrow.delivery.message import masked_headers, public_url
from hookrow.delivery.states import ANSWERED
from hookrow.errors import FiringNotFound, InvalidInput, KeyProblem, NotRedeliverable, Problem
from hookrow.hook.checks import Unfit, check_url, take_userinfo
from hookrow.hook.dates import show
from hookrow.hook.model import SEALED
from hookrow.hook.modes import WAITING, pause_reason
from hookrow.hook.stored import StoredHook
from hookrow.ids import delivery_id, delivery_place, firing_id, firing_uid, new_uid
from hookrow.lang import Text
from hookrow.payload import admit
from hookrow.records import Attempt, Delivery, Firing, loads
from hookrow.results import Explained, Redelivered, Replayed, Request, Tested
from hookrow.store import outbox
from hookrow.store.log.reading import attempts, told
from hookrow.store.outbox.settling import Settle
from hookrow.transport.attempt import Made, Order, compose, opened, perform

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hookrow.core.runtime import Runtime

__all__ = ["Workbench"]

SETTLED = (*ANSWERED, "dropped", "cancelled")
"""States of a delivery that nobody needs to send any more, unless he names it as it is."""
STAND_IN = "whsec_" + "A" * 43 + "="


def attempt_of(values: Mapping[str, Any], body: str | None) -> Attempt:
    """The record of an attempt from its columns."""
    return Attempt(
        number=values["number"],
        at_ms=values["at_ms"],
        url=values["url"],
        origin=values["origin"],
        elsewhere=values["elsewhere"],
        address=values.get("address"),
        status=values.get("status"),
        error=values.get("error"),
        **told(values.get("detail")),
        ms=values["ms"],
        times=loads(values.get("times")) or {},
        request_headers=tuple((name, value) for name, value in loads(values.get("request_headers")) or ()),
        request_body=body,
        response_headers=tuple((name, value) for name, value in loads(values.get("response_headers")) or ()),
        response_body=values.get("response_body"),
        response_length=values.get("response_length"),
        asked_by=values.get("asked_by"),
    )


def elsewhere(to: str | None) -> str | None:
    """The other URL to send to, which keeps the rules of a hook's own.

    Raises:
        InvalidInput: no URL to send to, or one with credentials in it: here they have no fields to move to.
    """
    if to is None:
        return None
    try:
        url = check_url(to)
        if take_userinfo(url)[0] != url:
            raise Unfit(Text("The login and password in this URL would not be sent."))
    except Unfit as unfit:
        raise InvalidInput([Problem("to", unfit.text)]) from None
    return url


def stand_ins(hook: StoredHook) -> dict[str, str]:
    """Something in the place of each secret that the hook has."""
    return {name: STAND_IN for name in SEALED if getattr(hook, name) is not None}


class Workbench:
    """The engine's tools for looking at firings and doing them again."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    # -- explain ------------------------------------------------------------------------------------------------------

    def explain(
        self,
        event: str,
        payload: Mapping[str, Any] | None = None,
        *,
        at_ms: int | None = None,
        hook: int | None = None,
        url: str | None = None,
        with_auth: bool = False,
        replay_of: str | None = None,
    ) -> list[Explained]:
        """The plan of a firing, evaluated on the payload as given; nothing is sent or written.

        Raises:
            EventNotFound, InvalidPayload
        """
        runtime = self.runtime
        config = runtime.config()
        now_ms = runtime.clock.now_ms() if at_ms is None else at_ms
        found = runtime.event(config, event)
        plain, text = admit(found.sample if payload is None else payload, runtime.number(config, "payload_limit"))
        occasion = Occasion(
            new_uid(now_ms),
            found,
            now_ms,
            30.0,
            runtime.number(config, "payload_limit"),
            replay_of,
            None,
            url,
            with_auth,
        )
        explained = []
        row = Row(occasion, plain, text)
        for stored in config.rows.get(event, ()):
            if hook is not None and stored.id != hook:
                continue
            row.veto = None  # each hook is judged for itself: what an earlier one would answer is not known
            share = row.turn(stored)
            act = share.act or ("fail" if share.error else "skip")
            request = None
            if share.act is not None:
                order = self.order(stored, occasion, share.seq, share.body or "", url=url, with_auth=with_auth)
                with suppress(KeyProblem):  # who has no key here still sees the plan
                    request = self.request(order)
            explained.append(
                Explained(
                    stored.ref,
                    stored.position,
                    stored.mode,
                    plan.state(stored, now_ms),
                    act,
                    share.error or share.skipped,
                    self.why(share),
                    request,
                )
            )
        return explained

    def why(self, share: Share) -> str | None:
        """What there is to say beyond a reason: the false part of a condition, a period's end, why it is paused."""
        hook = share.hook
        zone = ZoneInfo(self.runtime.setting(self.runtime.config(), "timezone"))
        if share.skipped == "expired" and hook.valid_until_ms is not None:
            return show(from_ms(hook.valid_until_ms), zone)
        if share.skipped == "not_yet_valid" and hook.valid_from_ms is not None:
            return show(from_ms(hook.valid_from_ms), zone)
        if share.act == "park":
            return str(pause_reason(hook.paused_by, hook.paused_reason)) if hook.paused_reason else None
        return None if share.detail is None else str(share.detail)

    def tried(self, delivery: Delivery) -> int:
        """How many requests are recorded of a delivery, those by hand and to other addresses too."""
        with self.runtime.database.read() as reading:
            return len(attempts(reading, delivery.row_id))

    def order(self, hook: StoredHook, occasion: Occasion, seq: int, body: str, **more: Any) -> Order:
        return Order(
            hook=hook,
            webhook_id=delivery_id(occasion.uid, seq),
            event=occasion.event.code,
            mode=hook.mode,
            number=1,
            occurred_ms=occasion.at_ms,
            body=body,
            timeout=hook.timeout,
            deadline_ms=int(hook.timeout * 1000) if hook.mode in WAITING else None,
            replay_of=None if occasion.replay_of is None else firing_id(occasion.replay_of),
            **more,
        )

    def request(self, order: Order) -> Request:
        """The request as it would leave, with every secret masked."""
        runtime = self.runtime
        # Every secret is masked in what is shown: who may only read the database has no key, and needs none for this.
        secrets = stand_ins(order.hook) if runtime.database.read_only else opened(runtime.vault, order.hook)
        made = compose(order, secrets, runtime.clock.now_ms())
        return Request(
            made.method, public_url(made.url), masked_headers(made.headers, order.hook.custom_header), order.body
        )

    # -- replay -------------------------------------------------------------------------------------------------------

    async def replay(
        self,
        ref: str,
        *,
        hook: int | None = None,
        to: str | None = None,
        with_auth: bool = False,
        payload: Mapping[str, Any] | None = None,
        dry_run: bool = False,
    ) -> Replayed:
        """Fire a recorded payload anew, through today's hooks or one of them."""
        runtime, to = self.runtime, elsewhere(to)
        config = runtime.config()
        uid = firing_uid(ref)
        recorded = None if uid is None else await runtime.firing(config, uid)
        if recorded is None or uid is None:
            raise FiringNotFound(Text("No firing or delivery with the ID {ref}", ref=ref))
        place = delivery_place(ref)
        if place is not None and hook is None:
            hook = next((each.hook.id for each in recorded.deliveries if each.seq == place[1]), None)
        given = recorded.payload if payload is None else payload
        if dry_run:
            steps = self.explain(recorded.event, given, hook=hook, url=to, with_auth=with_auth, replay_of=uid)
            return Replayed(recorded, None, tuple(steps))
        hooks = [each for each in config.rows.get(recorded.event, ()) if hook is None or each.id == hook]
        occasion = occasion_for(
            runtime,
            config,
            recorded.event,
            30.0,
            replay_of=uid,
            asked_by=runtime.author_name,
            url=to,
            with_auth=with_auth,
        )
        run = Run(runtime, occasion, given, hooks, handover=to is None)
        firing = await run.fire()
        firing.raise_for_error()  # a host goes on without its event's record, a person who asks for one does not
        return Replayed(recorded, firing)

    # -- redeliver ----------------------------------------------------------------------------------------------------

    async def redeliver(
        self, ref: str, *, to: str | None = None, with_auth: bool = False, dry_run: bool = False
    ) -> list[Redelivered]:
        """Send recorded requests again: the same bytes, the same `webhook-id`. A firing's id: its failed deliveries.

        Of several, those that somebody else is sending are left to them.
        """
        runtime, to = self.runtime, elsewhere(to)
        config = runtime.config()
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
        orders = [(each, self.again(firing, each, to, with_auth)) for each in chosen]
        if dry_run:
            return [Redelivered(each, None, self.request(order)) for each, order in orders]
        done, taken = [], None
        for each in chosen:
            try:
                made = await self.settled(firing, each, to, with_auth)
            except NotRedeliverable as error:
                taken = error
            else:
                done.append(Redelivered(each, attempt_of(made.values, each.body), ok=made.error is None))
        if taken is not None and not done:
            raise taken
        return done

    def again(self, firing: Firing, delivery: Delivery, to: str | None, with_auth: bool) -> Order:
        """The recorded request as one to make now.

        Raises:
            NotRedeliverable: there never was one, or its hook is gone.
        """
        runtime = self.runtime
        hook = runtime.config().hooks.get(delivery.hook.id)
        if delivery.body is None:
            raise NotRedeliverable(Text("no request was ever sent for {ref}: replay it instead", ref=delivery.id))
        if hook is None or (hook.deleted and to is None):
            raise NotRedeliverable(Text("the hook of {ref} was deleted: give an address with --to", ref=delivery.id))
        waiting = delivery.mode in WAITING
        return Order(
            hook=hook,
            webhook_id=delivery.id,
            event=firing.event,
            mode=delivery.mode,
            number=self.tried(delivery) + delivery.takeovers + 1,
            occurred_ms=firing.at_ms,
            body=delivery.body,
            timeout=hook.timeout,
            payload=firing.payload if waiting else None,
            can_refuse=firing.moment == "before",
            deadline_ms=int(hook.timeout * 1000) if waiting else None,
            depth=firing.depth,
            url=to,
            with_auth=with_auth,
            origin="redeliver",
            asked_by=runtime.author_name,
        )

    async def settled(self, firing: Firing, delivery: Delivery, to: str | None, with_auth: bool) -> Made:
        """Take the row's lease first, so that no worker sends it meanwhile; then send, and record what came of it.

        Raises:
            NotRedeliverable: it is being sent right now, or was settled since it was looked up, or its hook is gone.
        """
        runtime, writer, number = self.runtime, self.runtime.database.writer, delivery.row_id

        def lease(connection: Connection) -> outbox.Claimed:
            claimed = outbox.lease_for_redelivery(
                connection, number, owner=runtime.owner, now_ms=runtime.clock.now_ms()
            )
            if claimed.state in SETTLED and claimed.state != delivery.state:
                raise NotRedeliverable(
                    Text("{ref} has been settled in the meantime: it is not sent again", ref=delivery.id)
                )
            return claimed

        claimed = await writer.awrite(lease)
        order = self.again(firing, delivery, to, with_auth)  # the hook as it stands now, whatever went before took
        made = await perform(runtime.tools(runtime.config()), replace(order, number=claimed.number))
        elsewhere = to is not None
        await writer.awrite(Settle(claimed, made, runtime.clock.now_ms(), by_hand=True, elsewhere=elsewhere))
        runtime.cache.forget()  # a 410 pauses the hook
        return made

    # -- test ---------------------------------------------------------------------------------------------------------

    async def test(self, hook: StoredHook, payload: Mapping[str, Any]) -> Tested:
        """Send a marked request (`hook-test: 1`) as the hook would, and keep nothing of it.

        Raises:
            InvalidTemplate: the body or the condition fails on this payload.
        """
        runtime = self.runtime
        config = runtime.config()
        occasion = occasion_for(runtime, config, hook.event, 30.0)
        plain, text = admit(payload, occasion.payload_limit)
        row = Row(occasion, plain, text)
        body = row.render(hook, private=hook.mode in WAITING)
        waiting = hook.mode in WAITING
        conceal = Concealer(occasion.event.private if waiting else ())
        conceal.learn(plain)
        order = replace(
            self.order(hook, occasion, 1, body),
            test=True,
            payload=plain if waiting else None,
            can_refuse=occasion.before,
            conceal=conceal,
        )
        made = await perform(runtime.tools(runtime.config()), order)
        request = self.request(replace(order, body=row.render(hook, private=False)))
        answer = made.answer
        return Tested(
            request,
            attempt_of(made.values, body if not row.hidden else request.body),
            answer.kind,
            conceal.json(answer.data),
            conceal.json(answer.result),
            tuple(str(warning) for warning in answer.warnings),
        )
