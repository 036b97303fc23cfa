"""`HookMiddleware`: pure WSGI, for Flask, Django and all others, beneath servers with real threads or processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeVar, Unpack

from hookrow.core.arrival import Arrival, FireArgs
from hookrow.core.blocking import HookEngine
from hookrow.core.calls import CallInHand, within
from hookrow.errors import InvalidInput, Misuse, Problem, StorageError
from hookrow.events import Event
from hookrow.lang import Text
from hookrow.middleware.call import ApiCall
from hookrow.middleware.problem import PROBLEM, broken_off
from hookrow.middleware.rules import GRACE, KEY, Handled, Rules
from hookrow.middleware.views import json_of
from hookrow.payload import JsonObject, dumps
from hookrow.records import Firing
from hookrow.wsgi.environ import Environ, headers_of, path_of
from hookrow.wsgi.streams import Passing, RequestStream, StartResponse

__all__ = ["HookMiddleware"]

T = TypeVar("T")
Application = Callable[[Environ, Any], Iterable[bytes]]
CARRIED = ("HTTP_HOOK_DEPTH", "HTTP_TRACEPARENT")
"""Headers that concern what a handler fires, whatever its call means."""
THREADS = 8
"""Threads in which after events are fired; further ones wait for these."""


class HookMiddleware(Rules[Application, HookEngine]):
    """Fires the events that an API call means. Before-hooks may refuse the call or change its body; after-hooks follow.

    A call that means no event passes through.
    """

    def assemble(self) -> None:
        """As the rules say. Raises InvalidInput."""
        if not isinstance(self.engine, HookEngine):
            raise InvalidInput([Problem("engine", Text("WSGI applications run in threads: use HookEngine."))])
        self.begin_anew()

    def begin_anew(self) -> None:
        """What belongs to this process alone."""
        self.pid: int = os.getpid()
        self.followers: ThreadPoolExecutor = ThreadPoolExecutor(THREADS, "hookrow-after")
        self.tasks: set[Future[None]] = set()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], path_of(environ)
        with suppress(StorageError):
            self.know(self.engine.runtime.config())
        possible = self.may_mean(method, path)
        if possible:
            return self.handle(possible, environ, start_response)
        if not any(name in environ for name in CARRIED):
            return self.app(environ, start_response)
        in_hand = self.take_in_hand(method, path, headers_of(environ))
        return self.inside(in_hand, environ, start_response, lambda response: None)

    async def fire_by(self, arrival: Arrival, code: str, payload: JsonObject, **how: Unpack[FireArgs]) -> Firing:
        return self.engine.fire_here(arrival, code, payload, **how)

    def handle(self, possible: list[Event], environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Before, the application, after."""
        body = RequestStream(environ)
        body.look(self.limit)
        if body.broken_off:  # the application could not tell: to it this is the end of the body
            return answer(start_response, broken_off(possible[0].code))
        firings: dict[str, Firing] = {}
        environ[KEY] = firings
        call = ApiCall(
            method=environ["REQUEST_METHOD"],
            path=path_of(environ),
            query=environ.get("QUERY_STRING", ""),
            headers=headers_of(environ),
            scope=environ,
            body=body.value,
            seen=body.unseen is None,
            form=body.form,
        )
        handled = at_once(self.before(possible, call, body.unseen, firings))
        if handled.refusal is not None:
            return answer(start_response, handled.refusal)
        if handled.body is not None:
            body.replace(handled.body)

        def follow(response: Passing) -> None:
            if handled.later and response.succeeded:
                self.follow(handled, response)

        return self.inside(handled.in_hand, environ, start_response, follow)

    def inside(
        self, in_hand: CallInHand, environ: Environ, start: StartResponse, then: Callable[[Passing], None]
    ) -> Iterable[bytes]:
        """The application with the call in hand, until its response was handed on; `then` is called at that moment."""

        def ended(response: Passing) -> None:
            in_hand.ended = True
            then(response)

        response = Passing(start, self.limit, lambda: within(in_hand), ended)
        try:
            with within(in_hand):
                return response.of(self.app(environ, response.start_response))
        except BaseException:
            in_hand.ended = True
            raise

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def follow(self, handled: Handled, response: Passing) -> None:
        """The response is out: fire what follows, in a thread of its own, or in this one where there is none."""
        events = self.still_to_fire(handled)
        done = replace(handled.call, status=response.status, response=json_of(response.body))
        if self.pid != os.getpid():
            self.begin_anew()
        once = threading.Lock()

        def report() -> None:
            if once.acquire(blocking=False):
                at_once(self.report(events, done, handled.in_hand.arrival))

        try:
            task = self.followers.submit(report)
        except RuntimeError:  # the interpreter is ending; or there is no room for a thread, and it may run all the same
            report()
            return
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def settle(self, grace: float = GRACE) -> None:
        """Wait until after events under way are fired, at most `grace` seconds. A process that ends by itself does."""
        wait(list(self.tasks), timeout=grace)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing: here `fire` blocks, and so do conditions and shapes.

    Raises:
        Misuse: it waits.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    coroutine.close()
    raise Misuse(Text("a WSGI application waits in threads: conditions, shapes and idempotency= can't be async"))


def answer(start_response: StartResponse, found: JsonObject) -> list[bytes]:
    """Answer with a problem."""
    body = dumps(found).encode()
    status = found["status"]
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else found["title"]
    headers = [("content-type", PROBLEM), ("content-length", str(len(body)))]
    start_response(f"{status} {phrase}", headers)
    return [body]
