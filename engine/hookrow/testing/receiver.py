"""A receiver that remembers: a real server on 127.0.0.1 that answers as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from hookrow.payload import Json, JsonObject
from hookrow.testing.server import Answer, Came, Receiver

__all__ = ["HookReceiver", "Received", "allows", "changes", "delays", "fails", "gives", "vetoes"]


@dataclass(frozen=True, slots=True)
class Received(Came):
    """A request as the receiver got it."""

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)

    @property
    def event(self) -> str | None:
        """The event's code."""
        return self.header("hook-event")

    @property
    def delivery(self) -> str | None:
        """The `webhook-id`: the same for every attempt of a delivery."""
        return self.header("webhook-id")

    @property
    def data(self) -> Json:
        """The payload, where the body is the standard envelope; None where it is not."""
        body = self.json()
        return body.get("data") if isinstance(body, dict) else None


Script = Answer | Callable[[Received], Answer]


def allows(**keys: Json) -> Answer:
    """Allow the operation. `keys` are further ones of a reply: `result`, `data`, `warnings`."""
    return Answer.of({"allow": True, **keys})


def vetoes(message: str = "", *, code: str = "", status: int = 422, errors: Sequence[dict[str, str]] = ()) -> Answer:
    """Refuse it. `errors` are `{"path", "code", "message"}`, `path` a JSON Pointer into the payload."""
    reply = {"allow": False, "message": message, "code": code, "status": status, "errors": list(errors)}
    return Answer.of(reply)


def changes(data: JsonObject) -> Answer:
    """Allow it and change the payload: a JSON Merge Patch (RFC 7396) within its top-level keys."""
    return allows(data=data)


def gives(result: Json) -> Answer:
    """Allow it and give a result."""
    return allows(result=result)


def fails(status: int = 500) -> Answer:
    """Answer with a status that is no answer: the hook has failed."""
    return Answer(status)


def delays(seconds: float, then: Answer | None = None) -> Answer:
    """Answer so many seconds later; allow by default. To make a hook time out, wait longer than its timeout."""
    answer = then or allows()
    return Answer(answer.status, answer.body, seconds, answer.headers)


class HookReceiver:
    """Listens on a free port of 127.0.0.1 from the moment it is made; thread-safe. Use it in a `with` block.

    What it answers is an `Answer` or a function of the request: one for all paths, others by `on`.
    """

    def __init__(self, script: Script | None = None) -> None:
        self.script: Script = script or allows()
        self.by_path: dict[str, Script] = {}
        self.received: list[Received] = []
        self.changed: Final = threading.Condition()
        self.server: Final = Receiver(self.answer)
        self.url: Final = f"{self.server.url}/"
        """Ends in a slash: `receiver.url + "stock"`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; answers that are still delayed are dropped."""
        self.server.close()

    def on(self, path: str, script: Script) -> str:
        """Answer differently at a path; gives the URL of it."""
        self.by_path["/" + path.lstrip("/")] = script
        return self.url + path.lstrip("/")

    def answer(self, came: Came) -> Answer:
        """Remember a request and answer it, in its connection's thread."""
        received = Received(came.method, came.path, came.headers, came.body)
        with self.changed:
            self.received.append(received)
            self.changed.notify_all()
        script = self.by_path.get(urlsplit(came.path).path, self.script)
        return script if isinstance(script, Answer) else script(received)

    def wait(self, count: int = 1, seconds: float = 5.0) -> list[Received]:
        """Block until so many requests have come; gives all.

        Raises:
            AssertionError: they did not come within `seconds`.
        """
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.received) >= count, seconds):
                raise AssertionError(f"{len(self.received)} of {count} requests came within {seconds} s")
            return list(self.received)

    def clear(self) -> None:
        """Forget what came so far."""
        with self.changed:
            self.received.clear()

    def __repr__(self) -> str:
        came = ", ".join(f"{each.method} {each.path} ({each.event})" for each in self.received)
        return f"HookReceiver({self.url}: {came or 'nothing came'})"
