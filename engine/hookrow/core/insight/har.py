"""Requests of the log as HAR 1.2, which the network page of a browser's developer tools opens.

The form is that of http://www.softwareishard.com/blog/har-12-spec/ (Jan Odvarko). What the log masks stays masked.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from urllib.parse import parse_qsl, urlsplit

from hookrow.payload import JsonObject
from hookrow.records import Attempt, Delivery, Firing, rfc3339

__all__ = ["document", "entries"]

NOT_KNOWN = -1
"""HAR's own word for a time or a size that nobody measured."""


def document(found: Iterable[JsonObject]) -> JsonObject:
    """A whole HAR document of these entries."""
    made: JsonObject = {
        "version": "1.2",
        "creator": {"name": "Hookrow", "version": version("hookrow")},
        "entries": list(found),
    }
    return {"log": made}


def entries(firing: Firing, delivery: Delivery, attempts: Sequence[Attempt]) -> list[JsonObject]:
    """An entry for each request of a delivery."""
    return [entry(firing, delivery, each) for each in attempts]


def entry(firing: Firing, delivery: Delivery, attempt: Attempt) -> JsonObject:
    """One request, with who asked it in the comment."""
    said = attempt.error or delivery.outcome
    made: JsonObject = {
        "startedDateTime": rfc3339(attempt.at_ms),
        "time": attempt.times.get("total", attempt.ms),
        "request": request(attempt),
        "response": response(attempt),
        "cache": {},
        "timings": timings(attempt),
        "comment": f"{firing.event} {firing.id} {delivery.hook.key} {delivery.id} #{attempt.number} {said}",
    }
    if attempt.address:
        made["serverIPAddress"] = attempt.address.rpartition(":")[0].strip("[]")
    return made


def request(attempt: Attempt) -> JsonObject:
    """What was sent, as the log keeps it: private values are null, secrets masked."""
    body = attempt.request_body
    made: JsonObject = {
        "method": "POST",
        "url": attempt.url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": pairs(attempt.request_headers),
        "queryString": pairs(parse_qsl(urlsplit(attempt.url).query, keep_blank_values=True)),
        "headersSize": NOT_KNOWN,
        "bodySize": NOT_KNOWN if body is None else len(body.encode()),
    }
    if body is not None:
        made["postData"] = {"mimeType": kind(attempt.request_headers), "text": body}
    return made


def response(attempt: Attempt) -> JsonObject:
    """What was answered; status 0 where nothing was, as browsers write it."""
    body = attempt.response_body
    content: JsonObject = {"size": attempt.response_length or 0, "mimeType": kind(attempt.response_headers)}
    if body:
        try:
            content["text"] = body.decode()
        except UnicodeDecodeError:
            content |= {"text": base64.b64encode(body).decode(), "encoding": "base64"}
    return {
        "status": attempt.status or 0,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": pairs(attempt.response_headers),
        "content": content,
        "redirectURL": header(attempt.response_headers, "location"),
        "headersSize": NOT_KNOWN,
        "bodySize": NOT_KNOWN if attempt.response_length is None else attempt.response_length,
    }


def timings(attempt: Attempt) -> JsonObject:
    """The phases in milliseconds; HAR counts TLS into `connect` too."""
    found = attempt.times
    tls = found.get("tls", NOT_KNOWN)
    connect = found["connect"] + max(tls, 0) if "connect" in found else NOT_KNOWN
    return {
        "blocked": NOT_KNOWN,
        "dns": found.get("name", NOT_KNOWN),
        "connect": connect,
        "ssl": tls,
        "send": found.get("send", 0),
        "wait": found.get("wait", 0),
        "receive": found.get("read", 0),
    }


def pairs(found: Iterable[tuple[str, str]]) -> list[JsonObject]:
    return [{"name": name, "value": value} for name, value in found]


def header(headers: Sequence[tuple[str, str]], wanted: str) -> str:
    return next((value for name, value in headers if name.lower() == wanted), "")


def kind(headers: Sequence[tuple[str, str]]) -> str:
    return header(headers, "content-type") or "x-unknown"
