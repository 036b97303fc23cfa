"""One attempt of one delivery: make the message, send it, say what came of it.

The only path by which a request leaves: waiting, queued, test and replayed deliveries go the same way, so that a test
fails exactly where the real thing would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hookrow.clock import Clock
from hookrow.delivery import message, reply
from hookrow.delivery.concealing import Concealer, hidden_secrets
from hookrow.errors import KeyProblem, KeyWrong
from hookrow.hook.checks import origin, public_url
from hookrow.hook.modes import WAITING
from hookrow.hook.stored import SEALED, StoredHook
from hookrow.ids import firing_id, firing_uid
from hookrow.lang import Text
from hookrow.observers import AttemptObserved, OpenSpan, Watch
from hookrow.payload import dumps
from hookrow.reasons.reason import Reason, keep
from hookrow.secrets.vault import Place, Vault
from hookrow.transport import Exchange, Outgoing, Transport, exchange
from hookrow.transport.outgoing import ImpossibleURL

if TYPE_CHECKING:
    import httpx

__all__ = ["AttemptResult", "Dispatch", "Limits", "Tools", "compose", "opened", "outline", "perform", "unanswered"]

COUNTABLE = frozenset({"timeout", "connect_error", "name_error", "tls_error"})
"""Failures that say something of the receiver's health, for the breaker; of statuses, 5xx and 429."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes: `reply_limit` of a blocking hook's reply, `reply_kept` of a background one that is kept."""

    reply_limit: int = 1_048_576
    reply_kept: int = 65_536


@dataclass(slots=True)
class KnownHook:
    """A hook that was sent to: its secrets in clear, what takes them out of what is kept, what its requests share."""

    hook: StoredHook
    secrets: dict[str, str] = field(repr=False)
    concealer: Concealer
    outline: message.Outline


@dataclass(frozen=True, slots=True)
class Tools:
    """What every attempt is made with."""

    transport: Transport | httpx.AsyncBaseTransport
    vault: Vault
    clock: Clock
    limits: Limits
    watch: Watch | None = None
    """The engine's observers, where it has any."""
    known: dict[int, KnownHook] = field(default_factory=dict, repr=False)
    """Of hooks that were sent to: to open their secrets anew costs a tenth of a delivery. By the hook's identity: an
    edited hook is another one, and tools are made anew for each configuration."""

    def opened(self, dispatch: Dispatch) -> KnownHook:
        """What is known of the request's hook. Raises KeyProblem as `opened` does."""
        hook = dispatch.hook
        found = self.known.get(id(hook))
        if found is None:
            secrets = opened(self.vault, hook)
            concealer = Concealer(secrets=hidden_secrets(hook.auth_login, secrets, [hook.url]))
            made = outline(dispatch if dispatch.url is None else replace(dispatch, url=None), secrets)
            found = self.known[id(hook)] = KnownHook(hook, secrets, concealer, made)
        return found

    def outline(self, dispatch: Dispatch) -> message.Outline:
        """As the function of that name. Raises KeyProblem as `opened` does."""
        known = self.opened(dispatch)
        return known.outline if dispatch.url is None else outline(dispatch, known.secrets)

    def concealer(self, dispatch: Dispatch) -> Concealer:
        """What is not kept of the answer: the hook's secrets, and the private values that it was shown."""
        known = self.opened(dispatch).concealer
        found = dispatch.conceal
        if found is None and dispatch.url is None:
            return known
        if found is None:
            found = Concealer()
        if known.secrets or known.short:
            found.beware((*known.secrets, *known.short))
        if dispatch.url is not None:
            found.beware(hidden_secrets("", {}, [dispatch.url]))
        return found


@dataclass(slots=True)
class Dispatch:
    """What is to be sent.

    `hook` is the hook as it stands now: its URL, credentials, secrets and header are the current ones. `mode` is that
    of the firing. `timeout` in seconds is the limit of the whole exchange. `url` sends it elsewhere (`--to`): then
    credentials stay here, unless `with_auth`. `payload` is what a blocking hook was shown: its reply may change it.
    `conceal` knows the private values in it.
    """

    hook: StoredHook
    webhook_id: str
    event: str
    mode: str
    number: int
    occurred_ms: int
    body: str = field(repr=False)
    timeout: float
    payload_limit: int
    """Bytes that a patch may make of the payload."""
    payload: dict[str, Any] | None = field(default=None, repr=False)
    can_refuse: bool = False
    deadline_ms: int | None = None
    replay_of: str | None = None
    depth: int = 0
    traceparent: str | None = None
    test: bool = False
    shadow: bool = False
    """Nobody obeys the answer: it is only to be known what it would have done."""
    candidate: bool = False
    """The hook is a candidate, which is compared with what it is to replace."""
    tap: bool = False
    """A copy for a developer: nothing of it is recorded."""
    url: str | None = None
    with_auth: bool = False
    origin: str = "fire"
    asked_by: str | None = None
    conceal: Concealer | None = field(default=None, repr=False)


@dataclass(slots=True)
class AttemptResult:
    """What came of an attempt.

    `answer.kind` is `ok`, `changed`, `vetoed`, `refused`, `sent` or `failed`; `error` the word for a
    failure. Its words hold neither a secret nor a private value; what it changes and gives is as it came.
    `countable`: it counts for the breaker. `retry_after` in seconds, where the receiver asked for it. `values` are the
    columns of the attempt's row.
    """

    answer: reply.ReplyOutcome
    error: str | None
    detail: Text | str | None
    status: int | None
    ms: int
    countable: bool
    retry_after: float | None
    values: dict[str, Any]

    @property
    def gone(self) -> bool:
        """The receiver said 410: its hook is to be paused."""
        return self.answer.pause


def opened(vault: Vault, hook: StoredHook) -> dict[str, str]:
    """The hook's secrets in clear.

    Raises:
        KeyProblem: the key is missing or wrong, or the signing secret is empty, so that anybody could sign.
    """
    found = {
        name: vault.open(sealed, Place("hook", hook.uid, name))
        for name in SEALED
        if (sealed := getattr(hook, name)) is not None
    }
    if found.get("signing_secret_old") == "":
        del found["signing_secret_old"]
    if found.get("signing_secret") == "":
        raise KeyWrong(Reason("signing_secret_empty"))
    return found


def outline(dispatch: Dispatch, secrets: Mapping[str, str]) -> message.Outline:
    """What all requests of the hook have in common; sent elsewhere, credentials stay here unless asked for.

    Args:
        secrets: as `opened` gives them.
    """
    hook = dispatch.hook
    url = dispatch.url or hook.url
    trusted = dispatch.with_auth or dispatch.url is None or origin(url) == origin(hook.url)
    header = None
    if trusted and hook.custom_header and "custom_header_value" in secrets:
        header = (hook.custom_header, secrets["custom_header_value"])
    return message.Outline(
        url,
        login=hook.auth_login if trusted else "",
        password=secrets.get("auth_password", "") if trusted else "",
        custom_header=header,
        secrets=[secrets[name] for name in ("signing_secret", "signing_secret_old") if name in secrets],
    )


def compose(dispatch: Dispatch, made: message.Outline, now_ms: int) -> message.Message:
    """The request as it would leave now."""
    old_until_ms = dispatch.hook.signing_old_until_ms
    return made.message(
        dispatch.body,
        event=dispatch.event,
        mode=dispatch.mode,
        msg_id=dispatch.webhook_id,
        attempt=dispatch.number,
        sent_at_s=now_ms // 1000,
        occurred_at_ms=dispatch.occurred_ms,
        deadline_ms=dispatch.deadline_ms,
        replay_of=dispatch.replay_of,
        depth=dispatch.depth + 1,
        traceparent=dispatch.traceparent,
        test=dispatch.test,
        shadow=dispatch.shadow,
        candidate=dispatch.candidate,
        tap=dispatch.tap,
        signatures=1 if old_until_ms is None or now_ms >= old_until_ms else None,
    )


async def perform(tools: Tools, dispatch: Dispatch) -> AttemptResult:
    """Send it and say what came of it. A receiver's failure is a result; only cancellation is raised."""
    watch = tools.watch
    if watch is None:
        return await attempted(tools, dispatch)
    of_firing = dispatch.traceparent
    span = watch.begin("attempt", dispatch.hook.ref, dispatch.origin, tools.clock.now_ms(), traceparent=of_firing)
    if span is not None and span.traceparent is not None:
        dispatch = replace(dispatch, traceparent=span.traceparent)
    try:
        made = await attempted(tools, dispatch)
    except BaseException as error:
        watch.abandon(span, error)
        raise
    watch.attempt(observed(dispatch, made, span))
    return made


def observed(dispatch: Dispatch, made: AttemptResult, span: OpenSpan | None) -> AttemptObserved:
    """What observers may know of an attempt."""
    hook, url = dispatch.hook, dispatch.url or dispatch.hook.url
    return AttemptObserved(
        delivery_id=dispatch.webhook_id,
        firing_id=firing_id(firing_uid(dispatch.webhook_id) or ""),
        event=dispatch.event,
        hook=hook.ref,
        mode=dispatch.mode,
        number=dispatch.number,
        origin=dispatch.origin,
        host=urlsplit(url).netloc.rpartition("@")[2],
        at_ms=made.values["at_ms"],
        ms=made.ms,
        outcome=made.answer.kind,
        status=made.status,
        error=made.error,
        elsewhere=dispatch.url is not None,
        test=dispatch.test,
        url=made.values["url"],
        traceparent=dispatch.traceparent,
        span=span,
    )


async def attempted(tools: Tools, dispatch: Dispatch) -> AttemptResult:
    now_ms = tools.clock.now_ms()
    try:
        made = compose(dispatch, tools.outline(dispatch), now_ms)
        request = Outgoing.of(made)
    except KeyProblem as error:
        return unsent(dispatch, now_ms, "key_error", error.text)
    except (ImpossibleURL, UnicodeError):  # a URL that was written past the checks of a hook's fields
        return unsent(dispatch, now_ms, "name_error", Reason("host_impossible"))
    waiting = dispatch.payload is not None
    got = await exchange(
        tools.transport,
        request,
        timeout=dispatch.timeout,
        limit=tools.limits.reply_limit,
        keep=None if waiting else tools.limits.reply_kept,
        clock=tools.clock,
        wait="sent" if dispatch.mode == "forget" else "reply",
    )
    if got.error == "local_error":
        return unsent(dispatch, now_ms, got.error, got.detail or "")
    return judged(tools, dispatch, made, got, now_ms)


def unsent(dispatch: Dispatch, now_ms: int, error: str, detail: Text | str) -> AttemptResult:
    """A failure before the request: of a secret that can't be opened, a URL that leads nowhere, our own machine."""
    values = unanswered(dispatch, now_ms, error, detail, 0)
    return AttemptResult(
        answer=reply.ReplyOutcome("failed"),
        error=error,
        detail=detail,
        status=None,
        ms=0,
        countable=False,
        retry_after=None,
        values=values,
    )


def unanswered(dispatch: Dispatch, at_ms: int, error: str, detail: Text | str, ms: int) -> dict[str, Any]:
    """The attempt's row of a request that did not leave, or whose answer nobody waited for after so many `ms`."""
    return {
        "number": dispatch.number,
        "origin": dispatch.origin,
        "at_ms": at_ms,
        "url": public_url(dispatch.url or dispatch.hook.url),
        "elsewhere": dispatch.url is not None,
        "error": error,
        "detail": keep(detail),
        "ms": ms,
        "asked_by": dispatch.asked_by,
    }


def judged(tools: Tools, dispatch: Dispatch, sent: message.Message, got: Exchange, now_ms: int) -> AttemptResult:
    """The answer, and the attempt's row with what the mode keeps of the response (docs/concepts.md)."""
    conceal = tools.concealer(dispatch)
    answer = answered(dispatch, got)
    if answer.data is not None:
        conceal.learn(answer.data)
    if answer.detail is not None or not conceal.idle:
        answer = conceal.answer(answer)
    ms = round(got.times.get("total", 0.0))
    keeps_response = dispatch.mode != "forget" and got.status is not None
    keeps_body = keeps_response and (
        dispatch.mode in ("record", "transform")
        or (dispatch.mode == "gate" and answer.kind != "ok")
        or (dispatch.mode in WAITING and bool(answer.warnings))
    )
    retry_after = None
    if keeps_response and answer.error is not None:
        retry_after = reply.retry_after(got.headers, now_ms)
    values: dict[str, Any] = {
        "number": dispatch.number,
        "origin": dispatch.origin,
        "at_ms": now_ms,
        "url": public_url(sent.url),
        "elsewhere": dispatch.url is not None,
        "address": got.address,
        "status": got.status if keeps_response else None,
        "error": answer.error,
        "detail": None if answer.detail is None else keep(answer.detail),
        "ms": ms,
        "times": dumps({**got.times, "limit": round(dispatch.timeout * 1000)}),
        "request_headers": dumps(sent.shown),
        "response_headers": conceal.headers_text(got.headers) if keeps_response and got.headers else None,
        "response_body": kept_body(conceal, tools.limits, dispatch, got) if keeps_body else None,
        "response_length": got.length if keeps_response else None,
        "asked_by": dispatch.asked_by,
    }
    countable = answer.error in COUNTABLE or (
        answer.error == "bad_status" and got.status is not None and (got.status >= 500 or got.status == 429)
    )
    return AttemptResult(
        answer=answer,
        error=answer.error,
        detail=answer.detail,
        status=values["status"],
        ms=ms,
        countable=countable,
        retry_after=retry_after,
        values=values,
    )


def kept_body(conceal: Concealer, limits: Limits, dispatch: Dispatch, got: Exchange) -> bytes | None:
    """The response's body as it is kept: masked first, then cut; None where only its length may be."""
    if got.encoding is not None and not conceal.idle:
        return None  # compressed in a way that nobody asked for: what is in it can't be seen
    body = conceal.body(got.body, whole=got.complete and got.length <= len(got.body))
    return body if body is None or dispatch.payload is not None else body[: limits.reply_kept]


def answered(dispatch: Dispatch, got: Exchange) -> reply.ReplyOutcome:
    """What the exchange means for the delivery."""
    if got.error is not None and (got.status is None or dispatch.payload is None):
        return reply.ReplyOutcome("failed", got.error, got.detail)
    if dispatch.mode == "forget":
        return reply.ReplyOutcome("sent")
    assert got.status is not None
    if dispatch.payload is None:
        return reply.background(dispatch.mode, got.status, got.headers)
    if got.error is not None:
        return reply.broken_off(got.status, got.headers, got.body, got.error, got.detail)
    return reply.read(
        dispatch.mode,
        dispatch.can_refuse,
        got.status,
        got.headers,
        got.body,
        payload=dispatch.payload,
        payload_limit=dispatch.payload_limit,
    )
