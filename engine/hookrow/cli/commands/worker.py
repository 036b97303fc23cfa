"""`hookrow worker`: sends what is queued until told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import Number, command, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import say
from hookrow.lang import Text

if TYPE_CHECKING:
    from hookrow import Observer, Worker

__all__ = ["worker"]

GRACE = 5.0
"""Seconds for what is in flight, after the first signal."""


@command(
    "worker",
    more=Text(
        "The first SIGTERM or Ctrl+C finishes requests in progress; the second exits at once. Deliveries are "
        "never lost. With --drain the exit code is 0 if nothing is due any more, else 1."
    ),
)
@option(
    "--concurrency", type=click.IntRange(1, 1000), default=32, metavar="N", says=Text("How many deliveries at a time.")
)
@option("--drain", "drains", is_flag=True, says=Text("Send what is due now, then exit. Later retries stay queued."))
@option("--timeout", type=Number(0), metavar="SECONDS", says=Text("With --drain: exit after so many seconds."))
@option("--http", metavar="HOST:PORT", says=Text("Serve /metrics (Prometheus) and /healthz at this address."))
@option(
    "--otel", is_flag=True, says=Text("Traces and metrics for OpenTelemetry, as the OTEL_… variables ask for them.")
)
@pass_session
def worker(
    session: Session, concurrency: int, drains: bool, timeout: float | None, http: str | None, otel: bool
) -> int:
    """Send what is queued until told to stop."""
    if timeout is not None and not drains:
        raise click.UsageError(str(Text("--timeout needs --drain.")))
    address = None if http is None else address_of(http)
    session.require()
    return asyncio.run(send(session, concurrency, drains, timeout, address, telemetry() if otel else None))


def telemetry() -> Observer:
    """The observer for OpenTelemetry, with what the environment asks for."""
    try:
        from hookrow.otel import Telemetry
        from hookrow.otel.environment import set_up

        set_up(os.environ)
    except ImportError as error:
        text = Text("--otel: {why}; install hookrow[otel], opentelemetry-sdk and an exporter.", why=error)
        raise click.UsageError(str(text)) from None
    return Telemetry()


def address_of(text: str) -> tuple[str, int]:
    """Host and port as typed."""
    parts = urlsplit(f"//{text}")
    try:
        if parts.hostname and parts.port is not None and parts.netloc == text and "@" not in text:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise click.BadParameter(str(Text("give host and port, such as 127.0.0.1:9102")), param_hint="--http")


async def send(
    session: Session,
    concurrency: int,
    drains: bool,
    timeout: float | None,
    address: tuple[str, int] | None,
    traced: Observer | None,
) -> int:
    """The worker on this process's own loop, where signals can be handled."""
    from hookrow import AsyncHookEngine
    from hookrow.metrics import Metrics
    from hookrow.metrics.page import MetricsPage

    metrics = None if address is None else Metrics()
    observers = [each for each in (metrics, traced) if each is not None]
    engine = AsyncHookEngine(session.url, worker=False, create=False, observers=observers)
    page: MetricsPage | None = None
    loop = asyncio.get_running_loop()
    closing: list[asyncio.Task[None]] = []

    def stop(running: Worker, number: int) -> None:
        if closing:
            os._exit(128 + number)  # leases lapse and are taken over by others; what is unsent stays queued
        closing.append(loop.create_task(running.drain(GRACE)))
        with suppress(OSError):  # nobody may be left who reads it
            say(
                Text(
                    "Stopping: up to {grace} s for requests in progress; a second signal exits at once.",
                    grace=int(GRACE),
                )
            )

    def started(running: Worker) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop, running, number)
        # What was imported lives as long as the process: not to look through it again and again saves a tenth of the
        # processor's time.
        gc.freeze()
        database = engine.path or "PostgreSQL"
        if drains:
            say(Text("Sending what is due in {database}.", database=database))
        else:
            say(Text("Sending the queue of {database}; SIGTERM or Ctrl+C ends it.", database=database))

    try:
        if metrics is not None and address is not None:
            try:
                page = MetricsPage(metrics, engine, *address)
            except OSError as error:
                raise click.BadParameter(error.strerror or str(error), param_hint="--http") from None
            say(Text("Metrics: http://{host}:{port}/metrics", host=address[0], port=page.port))
        if drains:
            done = await engine.drain(timeout, concurrency=concurrency, started=started)
            left = await engine.log.summary()
            said = Text("Nothing is due any more.") if done else Text("Stopped before everything due was sent.")
            say(said, Text("Queued: {queue}, dead: {dead}.", queue=left.queue, dead=left.dead))
        else:
            await engine.run_worker(concurrency=concurrency, started=started)
            done = True
            say(Text("Stopped; unsent deliveries stay queued."))
        await asyncio.gather(*closing)
    finally:
        if page is not None:
            page.close()
        await engine.close()
    return exits.DONE if done else exits.NO
