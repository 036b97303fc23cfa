"""Copies of recorded requests for a developer's machine (docs/replay.md): nothing of them is recorded or leased."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hookrow.errors import NotRedeliverable
from hookrow.hook.elsewhere import elsewhere, stays_here
from hookrow.hook.stored import SEALED, StoredHook
from hookrow.results import Tapped
from hookrow.store.aside import aside
from hookrow.store.log.following import attempt_by_row
from hookrow.store.log.reading import attempt_from
from hookrow.transport import Transport
from hookrow.transport.attempt import AttemptResult, Dispatch, perform
from hookrow.words import HEARD

if TYPE_CHECKING:
    from hookrow.core.replaying import Replaying
    from hookrow.core.runtime import Runtime
    from hookrow.records import Attempt, Delivery, Firing
    from hookrow.store.configuration.cache import Config

__all__ = ["tap"]

SUFFIX = ".tap"
WOULD_HAVE: Mapping[str, str] = {"allow": "ok", "change": "changed", "veto": "vetoed", "fail": "failed"}
"""What a hook that is not in shadow would have come to with the same answer."""


async def tap(replaying: Replaying, number: int, *, to: str | None, with_auth: bool) -> Tapped | None:
    """A copy of an attempt's request, sent to `to`, or only made; None where the log holds it, or its hook, no more.

    Args:
        number: the attempt's row id.
        with_auth: with the hook's credentials, and signed; else the copy holds nothing that is secret.

    Raises:
        InvalidInput: `to` is no URL to send to.
        KeyProblem: `with_auth`, and a secret can't be opened.
    """
    runtime, to = replaying.runtime, elsewhere(to)

    def ask() -> tuple[Config, tuple[Firing, Delivery, Attempt] | None]:
        config = runtime.config()
        with runtime.database.read() as connection:
            return config, attempt_by_row(connection, config, number)

    config, found = await aside(ask, runtime.reading())
    if found is None:
        return None
    firing, delivery, attempt = found
    try:
        dispatch = replaying.dispatch_of(config, firing, delivery, attempt.number, to, with_auth)
    except NotRedeliverable:
        return None
    dispatch.tap = True
    dispatch.webhook_id = delivery.id + SUFFIX
    if not with_auth:
        dispatch.hook = without_secrets(dispatch.hook)
    request, recorded = replaying.explaining.request(dispatch), as_left(delivery, attempt)
    if to is None:
        return Tapped(firing, recorded, attempt, request)
    result = await sent(runtime, config, dispatch, to)
    copy, answer = attempt_from(result.values, dispatch.body), result.answer
    answered = replace(
        left(recorded, copy, answer.kind),
        detail=copy.detail if answer.veto is None else answer.veto.message,
        changes=answer.changes,
    )
    return Tapped(firing, recorded, attempt, request, copy, answered, answer.has_result, answer.result)


def as_left(delivery: Delivery, attempt: Attempt) -> Delivery:
    """A delivery as one of its attempts left it, so far as that is known: what it changed and why it was refused is
    recorded of the attempt that decided."""
    if delivery.shadow and delivery.would is not None:
        return replace(delivery, state=WOULD_HAVE[delivery.would], status=attempt.status)
    if attempt.error is None and attempt.origin == "fire" and delivery.outcome in HEARD:
        return delivery
    return left(delivery, attempt, "sent" if delivery.mode == "forget" else "ok")


def left(delivery: Delivery, attempt: Attempt, outcome: str) -> Delivery:
    """The delivery with this attempt as its only one."""
    return replace(
        delivery,
        state=outcome if attempt.error is None else "failed",
        error=attempt.error,
        detail=attempt.detail,
        reason=attempt.reason,
        status=attempt.status,
        ms=attempt.ms,
        changes=(),
        shadow=False,
        would=None,
    )


def without_secrets(hook: StoredHook) -> StoredHook:
    """The hook as one that has no credentials, no header of its own and nothing to sign with."""
    without: dict[str, Any] = {"auth_login": "", "custom_header": "", **dict.fromkeys(SEALED)}
    return replace(hook, **without)


async def sent(runtime: Runtime, config: Config, dispatch: Dispatch, to: str) -> AttemptResult:
    """Send the copy over a connection of its own: a hook's own requests may not go where a copy may."""
    async with AsyncExitStack() as stack:
        tools = replace(runtime.tools(config), watch=None, known={})
        if runtime.given_transport is None:
            policy = runtime.policy(config)
            policy = policy.with_loopback() if stays_here(to) else policy
            tools = replace(tools, transport=await stack.enter_async_context(Transport(policy, runtime.clock)))
        return await perform(tools, dispatch)
