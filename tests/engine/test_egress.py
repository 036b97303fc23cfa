"""Which addresses may be reached: every spelling of an address, both policies (DESIGN 9)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.errors import InvalidSetting
from hookrow.hook.egress import Egress

NEVER = [
    *("169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe"),
    *("2002:a9fe:a9fe::1", "fe80::1", "fd00:ec2::254", "100.100.100.200", "224.0.0.1", "239.255.255.250", "ff02::1"),
    *("0.0.0.0", "::", "255.255.255.255", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "64:ff9b::e000:1", "2002:e000:1::"),
    *("240.0.0.1", "0.1.2.3"),
]
INSIDE = [
    *("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "fc00::1"),
    *("::ffff:10.0.0.1", "::ffff:192.168.0.1", "2002:a00:1::", "64:ff9b::c0a8:1"),
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
