"""What an answer means (docs/receivers.md), as functions of status, headers, body and the payload that was sent.

Nothing here fails on what a receiver says: what can't be obeyed is an `ReplyOutcome` of kind `failed`, with its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from hookrow.delivery.patching import Unpatchable, patched
from hookrow.delivery.replyjson import NotJson, decoded, is_blank, members, strict_loads, strict_text
from hookrow.hook.modes import Mode
from hookrow.lang import Text
from hookrow.payload import diff, merge_patch, same, storable
from hookrow.reasons.reason import Reason

__all__ = ["KEYS", "LONGEST_RETRY_AFTER", "Refusal", "ReplyOutcome", "background", "broken_off", "read", "retry_after"]

KEYS = ("allow", "message", "code", "status", "errors", "data", "patch", "result", "warnings")
"""What an answer may say; all optional, everything else is passed over."""
LONGEST_RETRY_AFTER = 86_400
"""Seconds: no receiver puts a delivery off for more than a day."""
MESSAGE_LIMIT, CODE_LIMIT, LIST_LIMIT = 1000, 100, 100
NEVER_REPAIRED = ("data", "patch", "result")
"""What goes into the operation: half a character, NaN or a doubled key in it is never mended."""
TOLD = ("message", "code", "status", "errors", "warnings")
"""What is said to people, beside an `allow` too."""
NOT_USABLE = object()
"""Stands for a word that can't be read; of no kind that any word may be of."""
MEANT = Reason("veto_perhaps_meant")
BEGINNING = 65_536
"""Bytes of a reply that is too long in which a «no» is looked for."""
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A hook's «no»: what it says to the caller. `errors` are objects with `path` (JSON Pointer), `code`, `message`."""

    message: str = ""
    code: str = ""
    status: int = 422
    errors: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReplyOutcome:
    """What came of a request, in the words of docs/reference/outcomes.md.

    kind: `ok`; `changed` (the payload was); `vetoed`; `refused` (a «no» that comes too late to stop anything);
        `failed`; `sent` for fire and forget; `void` where nobody wanted to know any more.
    error: for `failed` the word that is recorded, and `detail` for people: it holds no secret and no body.
    data: the changed payload, a new one; `changes` says what differs: (pointer, before, after).
    pause: the receiver is gone (410): the hook is to be paused, visibly.
    """

    kind: Literal["ok", "changed", "vetoed", "refused", "failed", "sent", "void"]
    error: str | None = None
    detail: Text | None = None
    veto: Refusal | None = None
    data: dict[str, Any] | None = None
    changes: tuple[tuple[str, Any, Any], ...] = ()
    has_result: bool = False
    result: Any = None
    warnings: tuple[Text | str, ...] = ()
    pause: bool = False
    moved: tuple[tuple[str, str], ...] = ()
    """What a patch copied or moved: (pointer, pointer)."""


OK: Final = ReplyOutcome("ok")


@dataclass(slots=True)
class ReplyBody:
    """What a body says.

    words: the object, None where there is none that can be obeyed. Of one that the strict reading refuses, only what
        Hookrow knows, and only where it says `allow` itself.
    fault: why it can't be read as JSON; with `words`, why it is no proper JSON.
    broken: of `words`, the members that are never repaired (`data`, `patch`, `result`) and why they can't be used.
    """

    words: dict[str, Any] | None = None
    fault: Text | None = None
    broken: Mapping[str, Text] = field(default_factory=dict)
    notes: tuple[Text, ...] = ()
    empty: bool = False
    meant: bool = False
    """It can't be read, and a refusal may have been meant."""


def read_body(headers: Headers, body: bytes) -> ReplyBody:
    """What a body says, read as tolerantly as is safe: a «no» is not lost to its spelling.

    UTF-8 comes first, then a declared charset out of a list. What is ambiguous or no proper JSON anywhere is passed
    over beside an `allow`, of two `allow` the «no» counts.
    """
    if not body.strip():
        return ReplyBody(empty=True)
    try:
        value = strict_loads(body)
    except NotJson as reason:
        fault = reason.text
    else:
        return ReplyBody(value if isinstance(value, dict) else None)
    text, charset = decoded(body, charset_of(headers))
    if is_blank(text) or body in UTF16_MARKS:
        return ReplyBody(empty=True)
    notes: tuple[Text, ...] = ()
    if charset is not None:
        notes = (Reason("reply_charset", charset=charset),)
        try:
            value = strict_text(text)
        except NotJson as reason:
            fault = reason.text
        else:
            return ReplyBody(value if isinstance(value, dict) else None, notes=notes)
    words, broken = known_members(text)
    if words is None:
        return ReplyBody(fault=fault, meant=may_refuse(text))
    return ReplyBody(words, fault, broken, (*notes, Reason("reply_not_proper")))


def known_members(text: str) -> tuple[dict[str, Any] | None, dict[str, Text]]:
    """Of an object that is no proper JSON: what is known of it, and what of that is at fault.

    None without an `allow` that is true or false; a doubled one with a false among them is a «no».
    """
    found = members(text)
    if found is None:
        return None, {}
    allows = [value for key, value in found if key == "allow"]
    if "false" not in allows and allows != ["true"]:
        return None, {}
    words: dict[str, Any] = {"allow": "false" not in allows}
    broken: dict[str, Text] = {}
    for key, value in found:
        if key not in KEYS or key == "allow":
            continue
        try:
            if key in NEVER_REPAIRED:
                if key in words:
                    raise NotJson(Reason("json_key_twice", key=key))
                value.encode()
                words[key] = strict_text(value)
            else:
                words[key] = json.loads(value)
        except (NotJson, UnicodeEncodeError) as reason:
            words[key] = None
            broken[key] = reason.text if isinstance(reason, NotJson) else Reason("member_not_utf8")
        except (ValueError, RecursionError):  # a number of thousands of digits, a nesting of thousands of levels
            words[key] = NOT_USABLE
    return words, broken


def may_refuse(text: str) -> bool:
    """Whether a text that can't be read holds the words of a «no»."""
    plain = text.replace("\0", "").lower()
    return re.search(r"""["']allow["']""", plain) is not None and "false" in plain


def read(
    mode: Mode | str,
    moment_can_refuse: bool,
    status: int,
    headers: Headers,
    body: bytes,
    *,
    payload: dict[str, Any],
    payload_limit: int = 1_048_576,
) -> ReplyOutcome:
    """What the reply of a blocking hook means.

    Args:
        mode: `gate` or `transform`.
        moment_can_refuse: whether the event is a `before`; what has happened can neither be stopped nor changed.
        body: the whole body, decompressed, within the limit.
        payload: what the hook was shown; it is not changed.
        payload_limit: bytes that a patch may make of it.
    """
    if status == 410:
        return bad_status(status, headers)
    content = read_body(headers, body)
    success = 200 <= status < 300
    if content.words is not None and content.words.get("allow") is False and (success or 400 <= status < 500):
        refusal, warnings = refusal_of(content.words, status)
        kind: Literal["vetoed", "refused"] = "vetoed" if moment_can_refuse else "refused"
        return ReplyOutcome(kind, veto=refusal, warnings=(*content.notes, *warnings))
    if not success:
        return with_hint(bad_status(status, headers), content.meant and 400 <= status < 500)
    if content.words is not None:
        return allowed(content, content.words, mode, moment_can_refuse, payload, payload_limit)
    if content.fault is not None and is_json(headers):
        return with_hint(bad_reply(Reason("reply_unreadable", reason=content.fault)), content.meant)
    if content.empty or mode != "transform":
        return ReplyOutcome("ok", warnings=(*content.notes, *([MEANT] if content.meant else [])))
    return with_hint(bad_reply(Reason("reply_no_object")), content.meant)


def broken_off(status: int, headers: Headers, body: bytes, error: str, detail: Text | None) -> ReplyOutcome:
    """What a reply means whose body could not be read to its end: it is too long, broke off, came too late.

    What its status alone says is obeyed: 410, a redirect, 5xx, and any other 4xx whose body does not begin with a
    «no». Where success or a «no» may stand in what is missing, it is a failure for the reason why it is missing.

    Args:
        body: what was read of it.
    """
    meant = status != 410 and (200 <= status < 300 or 400 <= status < 500) and may_refuse_in(body)
    if 300 <= status < 600 and not meant:
        return bad_status(status, headers)
    return with_hint(ReplyOutcome("failed", error, detail), meant)


def may_refuse_in(body: bytes) -> bool:
    """Whether the beginning of a body says «no»."""
    return re.search(rb'"allow"\s*:\s*false', body[:BEGINNING].replace(b"\0", b"")) is not None


def with_hint(answer: ReplyOutcome, meant: bool) -> ReplyOutcome:
    """The failure, and that a refusal may have been meant."""
    if not meant:
        return answer
    return replace(answer, detail=Reason("failure_with_hint", failure=answer.detail or "", hint=MEANT))


def allowed(
    content: ReplyBody,
    words: dict[str, Any],
    mode: str,
    moment_can_refuse: bool,
    payload: dict[str, Any],
    payload_limit: int,
) -> ReplyOutcome:
    """A reply with status 2xx, a JSON object that does not say no."""
    if "allow" in words and words["allow"] is not True:
        return bad_reply(Reason("allow_no_flag"))
    warnings: list[Text | str] = list(content.notes)
    if not words.keys().isdisjoint(TOLD):
        warnings += refusal_of(words, 422)[1]
    if words and not any(key in words for key in KEYS):
        warnings.append(Reason("reply_unknown_keys"))
    if mode != "transform":
        if not {"data", "patch", "result"}.isdisjoint(words):
            warnings.append(Reason("data_not_expected"))
        return ReplyOutcome("ok", warnings=tuple(warnings)) if warnings else OK
    for key, reason in content.broken.items():
        return bad_reply(Reason("member_unreadable", key=key, reason=reason))
    has_result, result = "result" in words, words.get("result")
    patch, operations = words.get("data"), words.get("patch")
    if patch is not None and operations is not None:
        return bad_reply(Reason("patch_and_data"))
    if patch is None and operations is None:
        return ReplyOutcome("ok", has_result=has_result, result=result, warnings=tuple(warnings))
    if not moment_can_refuse:
        warnings.append(Reason("data_too_late"))
        return ReplyOutcome("ok", has_result=has_result, result=result, warnings=tuple(warnings))
    if operations is not None:
        try:
            data, moved = patched(payload, operations, payload_limit)
        except Unpatchable as reason:
            return bad_reply(reason.text)
        return changed(payload, data, moved, has_result=has_result, result=result, warnings=tuple(warnings))
    if not isinstance(patch, dict):
        return bad_reply(Reason("data_no_object"))
    patch = without_echo(patch, payload)
    strange = [key for key in patch if key not in payload]
    if strange:
        return bad_reply(Reason("data_adds_key", key=strange[0][:60]))
    removed = [key for key, value in patch.items() if value is None]
    if removed:
        return bad_reply(Reason("data_removes_key", key=removed[0][:60]))
    data = merge_patch(payload, patch)
    return changed(payload, data, [], has_result=has_result, result=result, warnings=tuple(warnings))


def changed(payload: dict[str, Any], data: dict[str, Any], moved: list[tuple[str, str]], **more: Any) -> ReplyOutcome:
    """The payload as the hook leaves it."""
    changes = tuple(diff(payload, data))
    if not changes:
        return ReplyOutcome("ok", **more)
    return ReplyOutcome("changed", data=data, changes=changes, moved=tuple(moved), **more)


def without_echo(patch: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    """The patch without what only repeats the target: an echo, of the whole or of parts, changes nothing.

    Without this a receiver that sends back what it got would, by RFC 7396, delete every member that is null.
    """
    kept = {}
    for key, value in patch.items():
        if key in target:
            known = target[key]
            if isinstance(value, dict) and isinstance(known, dict):
                if value and not (value := without_echo(value, known)):
                    continue
            elif same(value, known):
                continue
        kept[key] = value
    return kept


def refusal_of(words: dict[str, Any], status: int) -> tuple[Refusal, tuple[Text | str, ...]]:
    """What a «no» says, and warnings: the receiver's own, and one for each member that could not be used.

    A badly worded «no» is still a no: what can't be used is left out.
    """
    faults: list[Text | str] = []
    message = text_of(words, "message", MESSAGE_LIMIT, faults)
    code = text_of(words, "code", CODE_LIMIT, faults)
    refused_with = status_of(words, status if 400 <= status < 500 else 422, faults)
    errors = errors_of(words, faults)
    own = own_warnings(words, faults)
    return Refusal(message, code, refused_with, errors), (*own, *faults)


def text_of(words: dict[str, Any], key: str, limit: int, faults: list[Text | str]) -> str:
    """A member that is a text, of at most so many characters; a fault where it is something else."""
    value = words.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        faults.append(Reason("not_a_text", key=key))
        return ""
    value = storable(value)
    return value if len(value) <= limit else value[: limit - 1] + "…"


def status_of(words: dict[str, Any], default: int, faults: list[Text | str]) -> int:
    """The status that a «no» asks for."""
    given = words.get("status")
    if given is None:
        return default
    if isinstance(given, int) and not isinstance(given, bool) and 400 <= given <= 599:
        return given
    faults.append(Reason("status_out_of_range"))
    return default


def errors_of(words: dict[str, Any], faults: list[Text | str]) -> tuple[dict[str, str], ...]:
    """The errors of a «no» that are objects of texts."""
    listed = words.get("errors")
    if listed is not None and not isinstance(listed, list):
        faults.append(Reason("not_a_list", key="errors"))
    errors = []
    for error in listed[:LIST_LIMIT] if isinstance(listed, list) else ():
        parts = {key: error.get(key) or "" for key in ("path", "code", "message")} if isinstance(error, dict) else {}
        if parts and all(isinstance(part, str) for part in parts.values()):
            errors.append({key: storable(part)[:MESSAGE_LIMIT] for key, part in parts.items()})
        else:
            faults.append(Reason("error_no_object"))
    return tuple(errors)


def own_warnings(words: dict[str, Any], faults: list[Text | str]) -> list[str]:
    """The receiver's own warnings, as far as they are texts."""
    listed = words.get("warnings")
    if listed is None:
        return []
    if not isinstance(listed, list):
        faults.append(Reason("not_a_list", key="warnings"))
        return []
    texts = [each for each in listed if isinstance(each, str)]
    if len(texts) != len(listed):
        faults.append(Reason("warning_no_text"))
    return [storable(each)[:MESSAGE_LIMIT] for each in texts[:LIST_LIMIT]]


def background(mode: Mode | str, status: int, headers: Headers = ()) -> ReplyOutcome:
    """What the response to a background hook means: only 2xx is success, everything else is repeated.

    Of a `forget` hook nothing is obeyed: once the request is out, it is `sent`.
    """
    if mode == "forget":
        return ReplyOutcome("sent")
    return OK if 200 <= status < 300 else bad_status(status, headers)


def bad_status(status: int, headers: Headers) -> ReplyOutcome:
    """A status that is no success. Redirects are never followed: the URL wants mending."""
    if status == 410:
        return ReplyOutcome("failed", "bad_status", Reason("receiver_gone"), pause=True)
    if 300 <= status < 400:
        place = location(header(headers, "location"))
        if place:
            text = Reason("receiver_redirects_to", status=status, place=place)
        else:
            text = Reason("receiver_redirects", status=status)
        return ReplyOutcome("failed", "redirect", text)
    return ReplyOutcome("failed", "bad_status", Reason("receiver_answered", status=status))


def bad_reply(text: Text) -> ReplyOutcome:
    return ReplyOutcome("failed", "bad_reply", text)


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


def charset_of(headers: Headers) -> str | None:
    """The charset that a reply declares."""
    found = re.search(r"charset\s*=\s*[\"']?([^\s;\"']+)", header(headers, "content-type") or "", re.IGNORECASE)
    return None if found is None else found[1]


def retry_after(headers: Headers, now_ms: int) -> float | None:
    """Seconds that the receiver asks to wait, at most a day; None where it asks nothing that can be obeyed.

    Whole seconds or an HTTP date (RFC 9110, 10.2.3); a date that is past asks nothing. Of several the latest counts.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    asked = [wish(" ".join(value.split()), now_ms) for name, value in pairs if name.lower() == "retry-after"]
    return max((seconds for seconds in asked if seconds is not None), default=None)


def wish(text: str, now_ms: int) -> float | None:
    """Seconds that one value of `Retry-After` asks for."""
    if re.fullmatch(r"[0-9]+", text):
        digits = text.lstrip("0")
        return float(LONGEST_RETRY_AFTER if len(digits) > 9 else min(int(digits or 0), LONGEST_RETRY_AFTER))
    if not re.match(r"[A-Za-z]{3}", text):
        return None
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now_ms / 1000
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(seconds, float(LONGEST_RETRY_AFTER)) if seconds > 0 else None
