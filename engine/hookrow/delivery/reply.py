"""What an answer means: DESIGN 6's table as functions of status, headers, body and the payload that was sent.

Nothing here fails on what a receiver says: what can't be obeyed is an `Answer` of kind `failed`, with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from hookrow.delivery.replyjson import NotJson, strict_loads
from hookrow.hook.modes import Mode
from hookrow.lang import Text
from hookrow.payload import diff, merge_patch, same
from hookrow.reasons.reason import Reason

__all__ = ["KEYS", "LONGEST_RETRY_AFTER", "Answer", "Refusal", "background", "read", "retry_after"]

KEYS = ("allow", "message", "code", "status", "errors", "data", "result", "warnings")
"""What an answer may say; all optional, everything else is passed over."""
LONGEST_RETRY_AFTER = 86_400
"""Seconds: no receiver puts a delivery off for more than a day."""
MESSAGE_LIMIT, CODE_LIMIT, LIST_LIMIT = 1000, 100, 100

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A hook's «no»: what it says to the caller. `errors` are objects with `path` (JSON Pointer), `code`, `message`."""

    message: str = ""
    code: str = ""
    status: int = 422
    errors: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request, in the words of DESIGN 12.

    kind: `ok`; `changed` (the payload was); `vetoed`; `refused` (a «no» that comes too late to stop anything);
        `failed`; `sent` for fire and forget.
    error: for `failed` the word that is recorded, and `detail` for people: it holds no secret and no body.
    data: the changed payload, a new one; `changes` says what differs: (pointer, before, after).
    pause: the receiver is gone (410): the hook is to be paused, visibly.
    """

    kind: Literal["ok", "changed", "vetoed", "refused", "failed", "sent"]
    error: Literal["bad_status", "redirect", "bad_reply"] | None = None
    detail: Text | None = None
    veto: Refusal | None = None
    data: dict[str, Any] | None = None
    changes: tuple[tuple[str, Any, Any], ...] = ()
    has_result: bool = False
    result: Any = None
    warnings: tuple[Text | str, ...] = ()
    pause: bool = False


def read(
    mode: Mode | str, moment_can_refuse: bool, status: int, headers: Headers, body: bytes, *, payload: dict[str, Any]
) -> Answer:
    """What the reply of a waiting hook means.

    Args:
        mode: `gate` or `transform`.
        moment_can_refuse: whether the event is a `before`; what has happened can neither be stopped nor changed.
        body: the whole body, decompressed, within the limit.
        payload: what the hook was shown; it is not changed.
    """
    if status == 410:
        return bad_status(status, headers)
    value, fault = None, None
    if body.strip():
        try:
            value = strict_loads(body)
        except NotJson as reason:
            fault = reason.text
    said = value if isinstance(value, dict) else None
    success = 200 <= status < 300
    if said is not None and said.get("allow") is False and (success or 400 <= status < 500):
        refusal, warnings = refusal_of(said, status)
        return Answer("vetoed" if moment_can_refuse else "refused", veto=refusal, warnings=warnings)
    if not success:
        return bad_status(status, headers)
    if fault is not None and is_json(headers):
        return bad_reply(Reason("reply_unreadable", reason=fault))
    if said is not None:
        return allowed(said, mode, moment_can_refuse, payload)
    if not body.strip() or mode != "transform":
        return Answer("ok")
    return bad_reply(Reason("reply_no_object"))


def allowed(said: dict[str, Any], mode: str, moment_can_refuse: bool, payload: dict[str, Any]) -> Answer:
    """A reply with status 2xx, a JSON object that does not say no."""
    if "allow" in said and said["allow"] is not True:
        return bad_reply(Reason("allow_no_flag"))
    warnings = list(refusal_of(said, 422)[1])
    if said and not any(key in said for key in KEYS):
        warnings.append(Reason("reply_unknown_keys"))
    if mode != "transform":
        if "data" in said or "result" in said:
            warnings.append(Reason("data_not_expected"))
        return Answer("ok", warnings=tuple(warnings))
    has_result, result = "result" in said, said.get("result")
    patch = said.get("data")
    if patch is None:
        return Answer("ok", has_result=has_result, result=result, warnings=tuple(warnings))
    if not moment_can_refuse:
        warnings.append(Reason("data_too_late"))
        return Answer("ok", has_result=has_result, result=result, warnings=tuple(warnings))
    if not isinstance(patch, dict):
        return bad_reply(Reason("data_no_object"))
    patch = news(patch, payload)
    strange = [key for key in patch if key not in payload]
    if strange:
        return bad_reply(Reason("data_adds_key", key=strange[0][:60]))
    removed = [key for key, value in patch.items() if value is None]
    if removed:
        return bad_reply(Reason("data_removes_key", key=removed[0][:60]))
    data = merge_patch(payload, patch)
    changes = tuple(diff(payload, data))
    if not changes:
        return Answer("ok", has_result=has_result, result=result, warnings=tuple(warnings))
    return Answer("changed", data=data, changes=changes, has_result=has_result, result=result, warnings=tuple(warnings))


def news(patch: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    """The patch without what only repeats the target: an echo, of the whole or of parts, changes nothing.

    Without this a receiver that sends back what it got would, by RFC 7396, delete every member that is null.
    """
    kept = {}
    for key, value in patch.items():
        if key in target:
            known = target[key]
            if isinstance(value, dict) and isinstance(known, dict):
                if value and not (value := news(value, known)):
                    continue
            elif same(value, known):
                continue
        kept[key] = value
    return kept


def refusal_of(said: dict[str, Any], status: int) -> tuple[Refusal, tuple[Text | str, ...]]:
    """The words of a «no», and warnings: the receiver's own, and one for each word that could not be used.

    A badly worded «no» is still a no: what can't be used is left out.
    """
    warnings: list[Text | str] = []

    def text(key: str, limit: int) -> str:
        value = said.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            warnings.append(Reason("not_a_text", key=key))
            return ""
        return value if len(value) <= limit else value[: limit - 1] + "…"

    message, code = text("message", MESSAGE_LIMIT), text("code", CODE_LIMIT)
    given = said.get("status")
    own = status if 400 <= status < 500 else 422
    if given is not None:
        if isinstance(given, int) and not isinstance(given, bool) and 400 <= given <= 599:
            own = given
        else:
            warnings.append(Reason("status_out_of_range"))
    errors = []
    listed = said.get("errors")
    for error in listed[:LIST_LIMIT] if isinstance(listed, list) else ():
        parts = {key: error.get(key) or "" for key in ("path", "code", "message")} if isinstance(error, dict) else {}
        if parts and all(isinstance(part, str) for part in parts.values()):
            errors.append({key: part[:MESSAGE_LIMIT] for key, part in parts.items()})
        else:
            warnings.append(Reason("error_no_object"))
    if listed is not None and not isinstance(listed, list):
        warnings.append(Reason("not_a_list", key="errors"))
    own_warnings = said.get("warnings")
    if own_warnings is not None and not isinstance(own_warnings, list):
        warnings.append(Reason("not_a_list", key="warnings"))
    elif own_warnings:
        texts = [each for each in own_warnings if isinstance(each, str)]
        warnings = [*(each[:MESSAGE_LIMIT] for each in texts[:LIST_LIMIT]), *warnings]
        if len(texts) != len(own_warnings):
            warnings.append(Reason("warning_no_text"))
    return Refusal(message, code, own, tuple(errors)), tuple(warnings)


def background(mode: Mode | str, status: int, headers: Headers = ()) -> Answer:
    """What the response to a background hook means: only 2xx is success, everything else is repeated (DESIGN 7).

    Of a `forget` hook nothing is obeyed: once the request is out, it is `sent`.
    """
    if mode == "forget":
        return Answer("sent")
    return Answer("ok") if 200 <= status < 300 else bad_status(status, headers)


def bad_status(status: int, headers: Headers) -> Answer:
    """A status that is no success. Redirects are never followed: the URL wants mending."""
    if status == 410:
        return Answer("failed", "bad_status", Reason("receiver_gone"), pause=True)
    if 300 <= status < 400:
        place = location(header(headers, "location"))
        if place:
            text = Reason("receiver_redirects_to", status=status, place=place)
        else:
            text = Reason("receiver_redirects", status=status)
        return Answer("failed", "redirect", text)
    return Answer("failed", "bad_status", Reason("receiver_answered", status=status))


def bad_reply(text: Text) -> Answer:
    return Answer("failed", "bad_reply", text)


def location(text: str | None) -> str:
    """Where a redirect leads, without credentials, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit((text or "").strip())
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    origin = f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else ""
    return re.sub(r"[^\x21-\x7e]", "?", origin + parts.path)[:200]


def header(headers: Headers, name: str) -> str | None:
    """The first header of this name, whatever its case."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return next((value for key, value in pairs if key.lower() == name), None)


def is_json(headers: Headers) -> bool:
    """Whether the reply calls itself JSON; charset and other labels are not believed (JSON is UTF-8)."""
    kind = (header(headers, "content-type") or "").partition(";")[0].strip().lower()
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def retry_after(headers: Headers, now_ms: int) -> float | None:
    """Seconds that the receiver asks to wait, at most a day; None where it asks nothing that can be obeyed.

    Whole seconds or an HTTP date (RFC 9110, 10.2.3); a date that is past asks nothing.
    """
    text = (header(headers, "retry-after") or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return float(LONGEST_RETRY_AFTER if len(text) > 9 else min(int(text), LONGEST_RETRY_AFTER))
    if not re.match(r"[A-Za-z]{3}", text):
        return None
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now_ms / 1000
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(seconds, float(LONGEST_RETRY_AFTER)) if seconds > 0 else None
