"""Names and addresses on the one dial path: looked up within bounds, every address judged, the checked one dialled."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from hookrow import AsyncHookEngine, Hook, InvalidHook
from hookrow.clock import SystemClock
from hookrow.errors import EngineClosed
from hookrow.hook.egress import Egress
from hookrow.transport import Exchange, Resolver, Transport, exchange
from receivers import Authority, BlackHole, Receiver, reply
from scripted import HandClock, outgoing

pytestmark = pytest.mark.anyio

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Names:
    """A name server's answers, which a test may change; each look-up is noted. `hang` holds those of `hung*` back."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {name.replace("_", "."): addresses for name, addresses in answers.items()}
        self.asked: list[str] = []
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, host: str, port: Any, *args: Any, **more: Any) -> list[Any]:
        self.asked.append(host)
        self.begun.set()
        if host.startswith("hung"):
            self.let_go.wait(30)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in self.answers[host]
        ]


@pytest.fixture
async def made(anyio_backend: str) -> AsyncIterator[Callable[..., Transport]]:
    """Makes transports, under the default policy and without names unless told otherwise."""
    transports: list[Transport] = []

    def make(names: Names | None = None, policy: str = "private", allow: str = "", **how: Any) -> Transport:
        clock = how.pop("clock", SystemClock())
        found = Transport(Egress.parse(policy, allow), clock, getaddrinfo=names or Names(), **how)
        transports.append(found)
        return found

    yield make
    for each in transports:
        await each.aclose()


async def post(transport: httpx.AsyncBaseTransport, url: str, timeout: float = 5.0, **how: Any) -> Exchange:
    """One exchange of a waiting hook."""
    request = outgoing(url)
    return await exchange(transport, request, timeout=timeout, limit=1024, keep=None, clock=SystemClock(), **how)


NEVER = [
    *(
        "169.254.169.254",
        "169.254.1.1",
        "2852039166",
        "0xa9fea9fe",
        "0xA9.0xFE.0xA9.0xFE",
        "169.16689662",
        "169.254.43518",
        "169.254.169.254.",
    ),
    *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[0:0:0:0:0:ffff:a9fe:a9fe]", "[::169.254.169.254]"),
    *("[64:ff9b::169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a9fe:a9fe]", "[2002:a9fe:a9fe::1]"),
    *("[::ffff:0:a9fe:a9fe]", "[2001:0:a9fe:a9fe::1]", "[fe80::1]", "[fe80::1%25lo]", "[febf::1]"),
    *("0.0.0.0", "0", "0x0", "0.1", "[::]", "[::ffff:0.0.0.0]", "[64:ff9b::]", "255.255.255.255", "4294967295"),
    *("224.0.0.1", "239.255.255.250", "0xe0000001", "[ff02::1]", "[::ffff:224.0.0.1]", "[64:ff9b::e000:1]"),
    *(
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "240.0.0.1",
        "[2002:e000:1::]",
    ),
]


def speaks_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


IPV6 = speaks_ipv6()
HERE = [
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7F.0.0.1", "0x7f.1", "127.0.0.1.", "0X7F000001"),
    *(("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:FFFF:7f00:0001]") if IPV6 else ()),
]
INSIDE = [
    *("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "10.0.0.1", "0x0a000001", "10.1", "172.16.0.1"),
    *("192.168.1.1", "3232235777", "[::ffff:10.0.0.1]", "[fd12:3456::1]", "100.64.0.1", "[fec0::1]", "198.18.0.1"),
]


@pytest.mark.parametrize("policy", ["private", "public"])
async def test_what_is_never_called_is_refused_in_every_spelling(made: Callable[..., Transport], policy: str) -> None:
    """Metadata, link-local, multicast, unspecified, broadcast, however they are written: nothing is dialled."""
    transport = made(policy=policy)
    found = await asyncio.gather(*(post(transport, f"http://{host}:9/") for host in NEVER))
    assert {host: (got.error, got.sent) for host, got in zip(NEVER, found, strict=True)} == dict.fromkeys(
        NEVER, ("blocked_address", False)
    )


async def test_this_machine_is_reached_or_refused_in_every_spelling(made: Callable[..., Transport]) -> None:
    """Under `private` each spelling reaches the receiver; under `public` none does, nor any inner network."""
    private, public = made(), made(policy="public")
    with Receiver(reply(200, b"{}")) as receiver:
        for host in HERE:
            got = await post(private, f"http://{host}:{receiver.port}/")
            assert (host, got.error, got.status) == (host, None, 200)
        reached = len(receiver.requests)
        for host in HERE + INSIDE:
            got = await post(public, f"http://{host}:{receiver.port}/")
            assert (host, got.error, got.sent) == (host, "blocked_address", False)
            assert "egress" in str(got.detail)
        assert (reached, len(receiver.requests)) == (len(HERE), len(HERE))


@pytest.mark.parametrize(
    ("answers", "reached"),
    [
        (["169.254.169.254", "127.0.0.1"], "127.0.0.1"),
        (["127.0.0.1", "169.254.169.254"], "127.0.0.1"),
        (["fe80::1", "::ffff:169.254.169.254", "127.0.0.1"], "127.0.0.1"),
        (["169.254.169.254", "fe80::1"], None),
        (["::ffff:a9fe:a9fe"], None),
        (["fe80::1%lo"], None),
    ],
)
async def test_of_mixed_answers_only_what_is_allowed_is_dialled(
    made: Callable[..., Transport], answers: list[str], reached: str | None
) -> None:
    """A name with good and forbidden addresses is reached at the good ones; one with none is refused."""
    names = Names(mixed_test=answers)
    with Receiver(reply(200, b"{}")) as receiver:
        got = await post(made(names), f"http://mixed.test:{receiver.port}/")
        assert got.error == (None if reached else "blocked_address")
        assert got.address == (f"{reached}:{receiver.port}" if reached else None)


async def test_a_name_that_changes_its_mind_gains_nothing(made: Callable[..., Transport]) -> None:
    """Rebinding: the first answer is allowed, the second one inside: what is dialled is judged, at every exchange."""
    clock, names = HandClock(), Names(rebind_test=["127.0.0.2"])
    transport = made(names, "public", "127.0.0.2", clock=clock)
    with Receiver(reply(200, b"{}", keep_alive=False), host="0.0.0.0") as receiver:
        url = f"http://rebind.test:{receiver.port}/"
        assert (await post(transport, url)).address == f"127.0.0.2:{receiver.port}"
        names.answers["rebind.test"] = ["127.0.0.1"]
        assert (await post(transport, url)).address == f"127.0.0.2:{receiver.port}"
        clock.forward(31)
        got = await post(transport, url)
        assert (got.error, got.sent, len(receiver.requests)) == ("blocked_address", False, 2)
        assert names.asked == ["rebind.test"] * 2


async def test_one_look_up_a_host_at_a_time(made: Callable[..., Transport]) -> None:
    """Fifty requests for one name ask once; a failure is not remembered."""
    names = Names(hung_test=["127.0.0.1"])
    transport = made(names)
    with Receiver(reply(200, b"{}")) as receiver:
        asking = [asyncio.ensure_future(post(transport, f"http://hung.test:{receiver.port}/")) for _ in range(50)]
        await asyncio.to_thread(names.begun.wait, 10)
        names.let_go.set()
        assert {each.error for each in await asyncio.gather(*asking)} == {None}
        assert names.asked == ["hung.test"]
        url = f"http://late.test:{receiver.port}/"
        assert (await post(transport, url)).error == "name_error"
        names.answers["late.test"] = ["127.0.0.1"]
        assert (await post(transport, url)).error is None


async def test_no_look_up_is_waited_for_for_ever(
    made: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch, lag: Any
) -> None:
    """Its limit passes: the name failed; hung threads are bounded in number, and give their place back as they end."""
    monkeypatch.setattr(Resolver, "LONGEST", 0.2)
    monkeypatch.setattr(Resolver, "AT_ONCE", 2)
    names = Names(good_test=["127.0.0.1"])
    transport = made(names)
    with Receiver(reply(200, b"{}")) as receiver:
        began = time.monotonic()
        hosts = ("hung1.test", "hung2.test", "good.test")
        found = await asyncio.gather(*(post(transport, f"http://{host}:{receiver.port}/") for host in hosts))
        assert [each.error for each in found] == ["name_error"] * 3
        assert time.monotonic() - began <= lag.bound(0.5)
        assert "good.test" not in names.asked  # there was no place for it
        monkeypatch.setattr(Resolver, "LONGEST", 30.0)  # from here on it is not the limit that counts
        names.let_go.set()
        assert (await post(transport, f"http://good.test:{receiver.port}/")).error is None


async def test_the_address_that_answers_wins(made: Callable[..., Transport], lag: Any) -> None:
    """One that swallows connections holds the others up for a quarter of a second, one that refuses them not at all;
    one that the policy refuses is not dialled, and does not stand in the way of the others."""
    with Receiver(reply(200, b"{}")) as receiver, BlackHole("127.0.0.2", receiver.port):
        for first, policy, bound in (
            ("127.0.0.2", ("private", ""), 0.25),
            ("127.0.0.3", ("private", ""), 0.0),
            ("127.0.0.2", ("public", "127.0.0.1"), 0.0),
        ):
            began = time.monotonic()
            got = await post(made(Names(two_test=[first, "127.0.0.1"]), *policy), f"http://two.test:{receiver.port}/")
            assert time.monotonic() - began <= lag.bound(bound + 0.25)
            assert (got.error, got.address) == (None, f"127.0.0.1:{receiver.port}")
        got = await post(made(Names(two_test=["127.0.0.3", "127.0.0.4"])), f"http://two.test:{receiver.port}/")
        assert (got.error, got.sent) == ("connect_error", False)
        assert len(receiver.requests) == 3


@pytest.mark.skipif(not IPV6, reason="no IPv6 here")
async def test_a_name_of_ipv6_alone(made: Callable[..., Transport]) -> None:
    """Reached by its address, told in brackets."""
    with Receiver(reply(200, b"{}"), host="::1") as receiver:
        for url in (f"http://six.test:{receiver.port}/", receiver.url):
            got = await post(made(Names(six_test=["::1"])), url)
            assert (got.error, got.address) == (None, f"[::1]:{receiver.port}")
        assert [request.header("host") for request in receiver.requests] == [
            f"six.test:{receiver.port}",
            f"[::1]:{receiver.port}",
        ]


@pytest.mark.parametrize(
    ("host", "named", "certificate"),
    [
        ("пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f", "xn--e1afmkfd.xn--80akhbyknj4f"),
        ("ПРИМЕР.испытание", "xn--e1afmkfd.xn--80akhbyknj4f", "xn--e1afmkfd.xn--80akhbyknj4f"),
        ("xn--e1afmkfd.xn--80akhbyknj4f", "xn--e1afmkfd.xn--80akhbyknj4f", "xn--e1afmkfd.xn--80akhbyknj4f"),
        ("Stock.Test", "stock.test", "stock.test"),
        ("stock.test.", "stock.test.", "stock.test"),
    ],
)
async def test_a_name_is_one_for_look_up_tls_and_host(
    made: Callable[..., Transport], host: str, named: str, certificate: str
) -> None:
    """The checked address is dialled, and the certificate must be the name's: IDN, capitals, a trailing dot."""
    authority = Authority()
    names = Names(**{named: ["127.0.0.1"]})
    transport = made(names, tls=authority.trust(ssl.create_default_context()))
    with Receiver(reply(200, b"{}"), tls=authority.server(certificate)) as receiver:
        got = await post(transport, f"https://{host}:{receiver.port}/x")
        assert (got.error, names.asked) == (None, [named])
        assert receiver.requests[0].header("host") == f"{named}:{receiver.port}"


@pytest.mark.parametrize("port", [1, 9, 22, 80, 443, 8920, 65535])
async def test_any_port_is_a_port(made: Callable[..., Transport], port: int) -> None:
    """Nobody listens there, or somebody does: it is dialled as written, for http and https alike."""
    for scheme in ("http", "https"):
        got = await post(made(), f"{scheme}://127.77.0.1:{port}/", timeout=1)
        assert f"127.77.0.1:{port}" in f"{got.detail} {got.address}"


async def test_no_proxy_of_the_environment_is_asked(
    made: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Nor a .netrc: the request goes to its address, without credentials that nobody gave."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login someone password S3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Receiver(reply(502)) as proxy, Receiver(reply(200, b"{}")) as receiver:
        for name in PROXIES:
            monkeypatch.setenv(name, proxy.url)
        got = await post(made(), receiver.url)
        assert (got.error, got.status, proxy.connections) == (None, 200, 0)
        assert receiver.requests[0].header("authorization") is None


def test_no_exit_waits_for_a_hung_name() -> None:
    """A process whose twenty names hang for ever ends when its work is done."""
    code = textwrap.dedent("""
        import asyncio, threading, time
        from hookrow.clock import SystemClock
        from hookrow.transport import Resolver
        asked = []
        def hang(host, *args, **more):
            asked.append(host)
            threading.Event().wait()
        async def main():
            resolver = Resolver(SystemClock(), hang)
            waiting = [asyncio.ensure_future(resolver.look_up(f"hung{number}.test")) for number in range(20)]
            while len(asked) < 20:
                await asyncio.sleep(0)
            for each in waiting:
                each.cancel()
            await resolver.close()
        asyncio.run(main())
        print(time.monotonic())
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=True)
    assert time.monotonic() - float(done.stdout) < Resolver.LONGEST  # the clock is the machine's, the same in both
    assert done.stderr == ""


@pytest.mark.parametrize(
    "host", ["0177.0.0.1", "256.1.1.1", "мой_хост.рф", "xn--a", "１２７.０.０.１", "⑫7.0.0.1", "ex\u00adample.test"]
)
def test_a_host_that_could_not_be_sent_is_refused_when_it_is_saved(host: str) -> None:
    """What IDNA or HTTP can't write, and octal numbers that half the world reads otherwise."""
    with pytest.raises(InvalidHook) as refused:
        Hook(name="h", event="before_order_add", url=f"http://{host}/")
    assert [each.field for each in refused.value.problems] == ["url"]


@pytest.mark.usefixtures("looking_each_time")
async def test_a_url_written_past_the_checks_is_a_failure_and_no_fault(tmp_path: Any) -> None:
    """Somebody's SQL put it there: the hook fails in its words, the row goes on."""
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        for event, how in (("before_order_add", {"wait_for_response": True}), ("after_registration", {})):
            await engine.hooks.add(Hook(name="h", event=event, url="http://127.0.0.1:9/", **how))
        engine.runtime.database.writer.write(
            lambda connection: connection.execute(text("UPDATE hook SET url = 'http://мой_хост/?t=S3cret'"))
        )
        firing = await engine.fire("before_order_add", {"order": {}})
        assert (firing.allowed, firing.deliveries[0].error) == (True, "name_error")
        queued = await engine.send_own(await engine.fire("after_registration", {"user": {}}))
        assert (queued.deliveries[0].outcome, queued.deliveries[0].error) == ("retrying", "name_error")


async def test_a_closed_transport_says_so_to_who_looks_a_name_up(made: Callable[..., Transport]) -> None:
    """Nobody cancelled the one who asks; whom somebody cancels at the same time is cancelled."""
    names = Names(hung_test=["127.0.0.1"])
    transport = made(names)
    asking = [asyncio.create_task(post(transport, "http://hung.test/", timeout=30)) for _ in range(3)]
    assert await asyncio.to_thread(names.begun.wait, 20)
    asking[2].cancel()
    await transport.aclose()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert list(map(type, ended)) == [EngineClosed, EngineClosed, asyncio.CancelledError]
    assert [each.cancelling() for each in asking] == [0, 0, 1]
    names.let_go.set()
