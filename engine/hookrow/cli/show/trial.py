"""What `hookrow hooks test` shows: the request that left, the answer, and what it would have meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookrow.cli import exits
from hookrow.cli.show.firing_lines import put_body, put_headers, put_payload
from hookrow.cli.show.output import paint, put, put_json, say
from hookrow.cli.show.wording import colour, milliseconds
from hookrow.lang import Text
from hookrow.safetext import visible
from hookrow.words import ERRORS, OUTCOMES, word

if TYPE_CHECKING:
    from hookrow.results import Tested

__all__ = ["put_trial"]


def put_trial(tried: Tested, *, as_json: bool) -> int:
    """Print a test of a hook; gives its exit code."""
    attempt = tried.attempt
    refused = tried.outcome in ("vetoed", "refused")
    if as_json:
        put_json(
            {
                "ok": tried.ok and not refused,
                "outcome": tried.outcome,
                "error": attempt.error,
                "status": attempt.status,
                "ms": attempt.ms,
                "request": tried.request.as_json(),
                "attempt": attempt.as_json(),
                "data": tried.data,
                "result": tried.result,
                "warnings": list(tried.warnings),
            }
        )
    else:
        put(f"{tried.request.method} {visible(tried.request.url)}")
        put_headers(">", tried.request.headers)
        put_body(">", tried.request.body)
        said = "failed" if attempt.error else tried.outcome
        verdict = [paint(word(OUTCOMES, said), colour(OUTCOMES, said), bold=True)]
        verdict += [str(attempt.status)] if attempt.status is not None else []
        if attempt.error:
            verdict.append(visible(": ".join(filter(None, (word(ERRORS, attempt.error), attempt.detail)))))
        put("  ".join([*verdict, milliseconds(attempt.ms)]))
        put_headers("<", attempt.response_headers)
        body = None if attempt.response_body is None else attempt.response_body.decode("utf-8", "replace")
        put_body("<", body, attempt.response_length)
        if tried.data is not None:
            put_payload(str(Text("Data as the hook would leave it")), tried.data)
        if tried.result is not None:
            put_payload(str(Text("Result")), tried.result)
    for warning in tried.warnings:
        say(Text("Warning: {text}", text=warning))
    if attempt.status is not None and 400 <= attempt.status < 500 and attempt.error == "bad_status":
        say(Text('A 4xx without "allow": false is a failure, not a veto: a hook says no with {{"allow": false}}.'))
    return exits.DONE if tried.ok and not refused else exits.NO
