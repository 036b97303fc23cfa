"""TLS: what A, B and D cost with https receivers, over kept connections and with a handshake for each request."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import trustme

from bench.goals.d import EVENT, POSTS, hooks
from bench.measure import Bench, Row, Sample, at_least, at_most, delivered, interleave, timed
from bench.receiver import Receiver
from bench.sides.program import Program
from bench.sides.talk import PAYLOAD
from hookrow import HookEngine

__all__ = ["TITLE", "measure"]

TITLE = "TLS: A, B and D with https receivers"
DELIVERIES = 300


def measure(bench: Bench) -> Iterator[Row]:
    """Beside plain HTTP, and beside the same clients as there; an authority of our own signs the receiver's name."""
    authority, certificate, trusted = trustme.CA(), bench.folder / "tls.pem", bench.folder / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(trusted)
    plain = bench.receiver
    with believed(trusted), Receiver(certificate) as secure:
        yield from queued(bench, plain, secure)
        bench.receiver = secure
        try:
            yield from against_clients(bench, secure)
            yield from waited_for(bench, "kept", secure.url)
            yield from waited_for(bench, "a handshake each", f"{secure.url}close")
        finally:
            bench.receiver = plain
        yield resumed(bench, secure, trusted)


@contextmanager
def believed(trusted: Path) -> Iterator[None]:
    """OpenSSL's default place of authorities, for this process and those that it starts."""
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(trusted)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before


def queued(bench: Bench, plain: Receiver, secure: Receiver) -> Iterator[Row]:
    """A: background deliveries, concurrency 32."""
    count = bench.count(DELIVERIES)
    urls = {"plain": plain.url, "kept": secure.url, "close": f"{secure.url}close"}
    programs: dict[str, Program] = {}
    try:
        for name, url in urls.items():
            programs[name] = Program("ours", [f"sqlite:///{bench.folder}/tls-{name}.db", url])

        def sample(name: str) -> Sample:
            bench.receiver = plain if name == "plain" else secure
            return delivered(bench, programs[name], count)

        taken = interleave({name: (lambda its=name: sample(its)) for name in urls}, bench.rounds)
    finally:
        bench.receiver = plain
        for program in programs.values():
            program.end()
    for name, what in (("kept", "over kept connections"), ("close", "a handshake each")):
        said = f"A: background deliveries, {what}; plain HTTP"
        yield at_least(said, taken[name], taken["plain"], None, rate="deliveries", goal="—")


def against_clients(bench: Bench, secure: Receiver) -> Iterator[Row]:
    """B: concurrency 16, kept connections."""
    count = bench.count(DELIVERIES)
    given = [f"sqlite:///{bench.folder}/tls-b.db", secure.url]
    with Program("ours", given) as ours, Program("bare", [secure.url]) as bare:
        sides = {
            "hookrow": lambda: delivered(bench, ours, count, concurrency=16),
            "httpx": lambda: delivered(bench, bare, count, "httpx", 16),
            "aiohttp": lambda: delivered(bench, bare, count, "aiohttp", 16),
        }
        taken = interleave(sides, bench.rounds)
    for name, what in (("httpx", "stock httpx.AsyncClient"), ("aiohttp", "bare aiohttp")):
        said = f"B: deliveries over kept connections, {what}"
        yield at_least(said, taken["hookrow"], taken[name], None, rate="deliveries", goal="—")


def waited_for(bench: Bench, how: str, url: str) -> Iterator[Row]:
    """D: one waiting hook."""
    times = bench.count(POSTS // (1 if how == "kept" else 4))
    path = bench.folder / f"tls-d-{len(url)}.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine, httpx.Client() as client:
        for hook in hooks(1, url):
            engine.hooks.add(hook)

        def ours() -> None:
            for _ in range(times):
                engine.fire(EVENT, PAYLOAD)

        def bare() -> None:
            for _ in range(times):
                client.post(url, json=PAYLOAD)

        taken = interleave({"ours": lambda: timed(ours, times), "bare": lambda: timed(bare, times)}, bench.rounds)
        assert {each.outcome for each in engine.log.page()[0].deliveries} == {"ok"}
    yield at_most(f"D: fire(), K = 1, {how}", taken["ours"], taken["bare"], None, goal="—")


def resumed(bench: Bench, secure: Receiver, trusted: Path) -> Row:
    """What a session that is taken up again would save: neither Hookrow nor these clients do it."""
    context, times = ssl.create_default_context(cafile=trusted), bench.count(POSTS // 4)

    def connect(session: ssl.SSLSession | None) -> ssl.SSLSession | None:
        with (
            socket.create_connection(("127.0.0.1", secure.port)) as made,
            context.wrap_socket(made, server_hostname="127.0.0.1", session=session) as wire,
        ):
            wire.sendall(b"GET /count HTTP/1.1\r\n\r\n")
            wire.recv(1000)  # the tickets come before it
            assert wire.session_reused is (session is not None)
            return wire.session

    def sample(session: ssl.SSLSession | None) -> Sample:
        return timed(lambda: [connect(session) for _ in range(times)] and None, times)

    known = connect(None)
    taken = interleave({"resumed": lambda: sample(known), "full": lambda: sample(None)}, bench.rounds)
    return at_most("a handshake by Python's ssl, resumed; full", taken["resumed"], taken["full"], None, goal="—")
