"""`hookrow redeliver`: recorded requests again, byte for byte, under the same webhook-id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hookrow.cli.catalogue import command
from hookrow.cli.read.selection import again_options, failed_deliveries, go_through, remaining, still_failed
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.firing_lines import put_body, put_headers
from hookrow.cli.show.output import paint, put, put_json, say, unrecorded
from hookrow.cli.show.wording import milliseconds
from hookrow.lang import Plural, Text
from hookrow.safetext import visible
from hookrow.words import ERRORS, word

if TYPE_CHECKING:
    from hookrow.results import Redelivered

__all__ = ["put_request", "redeliver"]


@command(
    "redeliver",
    more=Text("ID: a delivery (msg_…), or a firing (evt_…), which means its failed deliveries."),
)
@again_options
@pass_session
def redeliver(
    session: Session,
    refs: tuple[str, ...],
    to: str | None,
    with_auth: bool,
    dry_run: bool,
    rate: float | None,
    resume: tuple[str, str] | None,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Send recorded deliveries again."""
    with session.engine() as engine:

        def act(ref: str) -> bool:
            if ref not in refs and not still_failed(engine, ref, options):
                say(Text("{ref} has been settled in the meantime: it is not sent again", ref=ref))
                return True
            with unrecorded(as_json=as_json):
                again = engine.redeliver(ref, to=to, with_auth=with_auth, dry_run=dry_run)
            for each in again:
                put_again(each, as_json=as_json)
            return dry_run or all(each.ok for each in again)

        chosen = remaining(engine, failed_deliveries(engine, refs, options), resume)
        if not chosen and refs:
            arrived = [each.id for ref in refs for each in engine.log.get(ref).deliveries if each.body is not None]
            if arrived:
                ids = ", ".join(dict.fromkeys(arrived))
                say(Text("No delivery of these failed. To send one again all the same, name it: {ids}", ids=ids))
        return go_through(
            engine,
            chosen,
            lambda n: Plural("{n} delivery will be sent again:", "{n} deliveries will be sent again:", n),
            act,
            yes=yes,
            rate=rate,
            dry_run=dry_run,
        )


def put_again(again: Redelivered, *, as_json: bool) -> None:
    """What came of one redelivery, or the request that would leave."""
    from hookrow.results import curl_line

    delivery, attempt = again.delivery, again.attempt
    if as_json:
        shown = {
            "delivery": delivery.as_json(),
            "ok": again.ok,
            "attempt": None if attempt is None else attempt.as_json(),
            "request": None if again.request is None else again.request.as_json(),
        }
        put_json(shown | ({"curl": curl_line(again.request)} if again.request is not None else {}))
        return
    head = f"{delivery.id}  {visible(delivery.hook.name)}"
    if again.request is not None:
        put(head)
        put_request(again.request)
    elif attempt is not None:
        parts = [paint("✓", "green") if again.ok else paint("✗", "red"), head, visible(attempt.url)]
        parts += [str(attempt.status)] if attempt.status is not None else []
        parts += (
            [visible(": ".join(filter(None, (word(ERRORS, attempt.error), attempt.detail))))] if attempt.error else []
        )
        put("  ".join([*parts, milliseconds(attempt.ms)]))


def put_request(request: Any) -> None:
    """A request that did not leave, and the curl line that would send it."""
    from hookrow.results import curl_line

    put(f"  {request.method} {visible(request.url)}")
    put_headers(">", request.headers)
    put_body(">", request.body)
    put(f"  {curl_line(request)}")
