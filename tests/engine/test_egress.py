"""Which addresses may be reached: every spelling of an address, both policies."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.errors import InvalidSetting
from hookrow.hook import egress
from hookrow.hook.egress import Egress

NEVER = [
    *("169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe"),
    *("2002:a9fe:a9fe::1", "fe80::1", "fd00:ec2::254", "100.100.100.200", "224.0.0.1", "239.255.255.250", "ff02::1"),
    *("0.0.0.0", "::", "255.255.255.255", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "64:ff9b::e000:1", "2002:e000:1::"),
    *("240.0.0.1", "0.1.2.3", "168.63.129.16", "192.0.0.192", "::ffff:0:169.254.169.254", "::169.254.169.254"),
    *("fd00:ec2::254", "fd00:ec2:ffff::1", "fd20:ce::254", "fd20:ce::1", "fd00:c1::a9fe:a9fe", "fd00:c1::1"),
    *("fd00:42::42", "fd00:a9fe:a9fe::1", "fd00:a9fe:a9fe:ffff::"),
    # Teredo (RFC 4380): the server's address, and the client's with its bits turned.
    *("2001:0:a9fe:a9fe::f7f7:f7f7", "2001:0:808:808::5601:5601"),
    # A site's own translation prefix (RFC 8215): the address at its end, or behind /48 (RFC 6052).
    *("64:ff9b:1:808:8:800:a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00:808:808"),
    # What is neither global unicast nor anything that we know.
    *("4000::1", "fe00::1", "200::1"),
]
INSIDE = [
    *("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "fc00::1"),
    *("::ffff:10.0.0.1", "::ffff:192.168.0.1", "2002:a00:1::", "64:ff9b::c0a8:1", "::ffff:0:10.0.0.1", "::10.0.0.1"),
    *("192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "198.18.0.1", "198.19.255.255"),
    *("fec0::1", "64:ff9b:1:808:8:800:808:808", "100::1", "2001:1::1", "2001:db8::1", "3fff::1", "5f00::1"),
    "fd00:42::43",
]
OUTSIDE = ["93.184.216.34", "1.1.1.1", "172.32.0.1", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("mode", ["private", "public"])
def test_some_addresses_are_never_called(mode: str, address: str) -> None:
    """Link-local, metadata, multicast, unspecified, broadcast, in every wrapping, under either policy."""
    assert Egress.parse(mode).verdict(address) is not None


@pytest.mark.parametrize("address", INSIDE)
def test_inner_networks_are_a_matter_of_policy(address: str) -> None:
    """Loopback and private networks: allowed under `private`, refused under `public` with the setting named."""
    assert Egress.parse("private").verdict(address) is None
    why = Egress.parse("public").verdict(address)
    assert "egress" in str(why)


def verdicts() -> list[str]:
    """What is said of every address of this page, under both policies, and where it is to be allowed."""
    egress.standing.cache_clear()
    policies = (Egress.parse("private"), Egress.parse("public"))
    addresses = (*NEVER, *INSIDE, *OUTSIDE)
    return [str(policy.verdict(address)) for address in addresses for policy in policies] + [
        allowed(address) for address in addresses
    ]


def allowed(address: str) -> str:
    """What the setting says to it."""
    try:
        return str(Egress.parse("public", address))
    except InvalidSetting as refused:
        return str(refused)


@pytest.mark.parametrize("table", ["NEVER", "INSIDE", "CARRIERS"])
def test_no_line_of_the_tables_is_without_an_address_here(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken out, each line changes what is said of one of them: a rule that no test holds protects nobody."""
    lines, whole = getattr(egress, table), verdicts()
    for line in lines:
        monkeypatch.setattr(egress, table, tuple(each for each in lines if each is not line))
        assert verdicts() != whole, line[0]
    monkeypatch.undo()
    egress.standing.cache_clear()


def test_the_loopback_of_ipv6_is_no_address_of_the_old_kind() -> None:
    """`::1` would be 0.0.0.1 by the form that carries one."""
    assert Egress.parse("private").verdict("::1") is None


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_addresses_are_reached_under_both(address: str) -> None:
    """What hooks are for."""
    assert Egress.parse("private").verdict(address) is None
    assert Egress.parse("public").verdict(address) is None


@pytest.mark.parametrize(
    ("allow", "address", "host", "port", "reached"),
    [
        ("10.0.0.0/8", "10.1.2.3", "", None, True),
        ("10.0.0.0/8", "192.168.0.1", "", None, False),
        ("127.0.0.1:8920", "127.0.0.1", "", 8920, True),
        ("127.0.0.1:8920", "127.0.0.1", "", 22, False),
        ("erp.local", "10.0.0.7", "erp.local", 80, True),
        ("erp.local", "10.0.0.7", "other.local", 80, False),
        ("erp.local, 192.168.0.0/16", "192.168.3.4", "x", 80, True),
    ],
)
def test_egress_allow_opens_what_it_names(allow: str, address: str, host: str, port: int | None, reached: bool) -> None:
    """An address, a network, a name, each with a port or without."""
    assert (Egress.parse("public", allow).verdict(address, host=host, port=port) is None) is reached


@pytest.mark.parametrize("allow", ["169.254.169.254", "169.254.0.0/16", "224.0.0.0/4", "0.0.0.0/0x", "host:99999"])
def test_what_is_never_called_can_not_be_allowed(allow: str) -> None:
    """Nor nonsense."""
    with pytest.raises(InvalidSetting):
        Egress.parse("public", allow)


def test_a_policy_is_only_ever_tightened() -> None:
    """An argument or a variable can make `private` public, never the other way round."""
    private, public = Egress.parse("private"), Egress.parse("public", "10.0.0.1")
    assert private.stricter(public).mode == "public"
    assert public.stricter(private).mode == "public"
    assert public.stricter(Egress.parse("public", "192.168.0.1")).verdict("10.0.0.1") is not None


@given(st.ip_addresses(v=4))
def test_a_wrapping_never_opens_what_the_plain_address_is_refused(address: object) -> None:
    """Mapped, NAT64 and 6to4 spellings are judged at least as strictly as the IPv4 address inside."""
    inner = int(ip_address(str(address)))
    spellings = [
        f"::ffff:{address}",
        str(ip_address((0x64FF9B << 96) | inner)),
        str(ip_address((0x2002 << 112) | (inner << 80))),
    ]
    for mode in ("private", "public"):
        policy = Egress.parse(mode)
        if policy.verdict(str(address)) is not None:
            assert all(policy.verdict(each) is not None for each in spellings)
