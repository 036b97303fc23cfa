"""Receivers for tests: real sockets on 127.0.0.1 that behave, or misbehave, as told.

    from receivers import Receiver, reply

    with Receiver(reply(503), reply(200, b'{"allow": true}')) as receiver:   # one script a request; the last one stays
        ...post to receiver.url...
        request = receiver.wait(2)[-1]                                       # blocks until two requests have come
        assert request.header("webhook-id") and request.json() == {...}

A script is a function of a `Peer` (one accepted connection): it reads the request if it likes, sends any bytes, waits
for an event, closes or resets. The ready-made ones are in `receivers.scripts`. A receiver runs in threads of its own,
so that sync and async tests, and other processes (`receiver.url` is all they need), can use it. `BlackHole` never
accepts. A quick and well-behaved one in a process of its own is `bench.receiver`.
"""

from receivers.scripts import Script, close, drip, hold, reply, reset, send, silence
from receivers.server import BlackHole, Peer, Receiver, Request
from receivers.tls import Authority

__all__ = [
    "Authority",
    "BlackHole",
    "Peer",
    "Receiver",
    "Request",
    "Script",
    "close",
    "drip",
    "hold",
    "reply",
    "reset",
    "send",
    "silence",
]
