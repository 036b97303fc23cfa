"""Which addresses may be reached.

`Egress` judges the address that is really dialled, in whatever spelling or wrapping. The table of networks
is our own: `ipaddress.is_global` takes multicast and wrapped addresses for public ones.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, cast

from hookrow.errors import InvalidSetting, Problem
from hookrow.lang import Text
from hookrow.reasons.reason import Reason

__all__ = ["Allowed", "Egress", "Mode", "is_loopback", "literal"]

Mode = Literal["private", "public"]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA = Reason("address_metadata")
LINK_LOCAL = Reason("address_link_local")
MULTICAST = Reason("address_multicast")
UNSPECIFIED = Reason("address_unspecified")
RESERVED = Reason("address_reserved")
BROADCAST = Reason("address_broadcast")
LOOPBACK = Reason("address_loopback")
PRIVATE = Reason("address_private")
SHARED = Reason("address_shared")
SPECIAL = Reason("address_special")

# Refused in both modes (docs/security.md). The first network that holds an address names it.
NEVER: tuple[tuple[Network, Text], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", UNSPECIFIED),  # Linux takes 0.0.0.0 for loopback
        ("169.254.0.0/16", LINK_LOCAL),
        ("100.100.100.200/32", METADATA),  # Alibaba
        ("168.63.129.16/32", METADATA),  # Azure
        ("192.0.0.192/32", METADATA),  # Oracle
        ("224.0.0.0/4", MULTICAST),
        ("255.255.255.255/32", BROADCAST),
        ("240.0.0.0/4", RESERVED),
        ("::/128", UNSPECIFIED),
        ("fe80::/10", LINK_LOCAL),
        ("fd00:ec2::/32", METADATA),  # Amazon
        ("fd20:ce::/32", METADATA),  # Google
        ("fd00:c1::/32", METADATA),  # Oracle
        ("fd00:42::42/128", METADATA),  # Scaleway
        ("fd00:a9fe:a9fe::/48", METADATA),  # 169.254.169.254 as the prefix of a network of its own
        ("ff00::/8", MULTICAST),
    )
)
# Refused under `public` unless egress_allow names them.
INSIDE: tuple[tuple[Network, Text], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("127.0.0.0/8", LOOPBACK),
        ("10.0.0.0/8", PRIVATE),
        ("172.16.0.0/12", PRIVATE),
        ("192.168.0.0/16", PRIVATE),
        ("100.64.0.0/10", SHARED),
        ("192.0.0.0/24", SPECIAL),
        ("192.0.2.0/24", SPECIAL),  # documentation, with the next two
        ("198.51.100.0/24", SPECIAL),
        ("203.0.113.0/24", SPECIAL),
        ("192.88.99.0/24", SPECIAL),  # 6to4 relays, given up
        ("198.18.0.0/15", SPECIAL),  # benchmarks
        ("::1/128", LOOPBACK),
        ("fc00::/7", PRIVATE),
        ("fec0::/10", PRIVATE),
        ("64:ff9b:1::/48", SPECIAL),  # a site's own translation prefix
        ("100::/64", SPECIAL),
        ("2001::/23", SPECIAL),
        ("2001:db8::/32", SPECIAL),
        ("3fff::/20", SPECIAL),
        ("5f00::/16", SPECIAL),
    )
)
GLOBAL6 = IPv6Network("2000::/3")
LOOPBACK6 = IPv6Address("::1")
# IPv6 networks whose addresses carry an IPv4 address, and how far to shift it down.
CARRIERS: tuple[tuple[IPv6Network, int], ...] = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped
    (IPv6Network("::ffff:0:0:0/96"), 0),  # translated (RFC 2765)
    (IPv6Network("::/96"), 0),  # compatible
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
)
LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
TEREDO = IPv6Network("2001::/32")
WORD = 0xFFFFFFFF

# What inet_aton takes for an address beside the plain four numbers: 127.1, 0x7f000001, 2130706433, 0177.0.0.1
LEGACY = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}", re.IGNORECASE)
NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")


@lru_cache(4096)
def literal(host: str) -> Address | None:
    """The address that `host` spells, in any spelling that the system's resolver takes for one; None for a name.

    Brackets, a scope (`%eth0`) and a trailing dot are put aside.
    """
    text = host.strip("[]").partition("%")[0].rstrip(".")
    try:
        return ip_address(text)
    except ValueError:
        pass
    if LEGACY.fullmatch(text):
        try:
            return IPv4Address(socket.inet_aton(text))
        except OSError:
            return None
    return None


def carried(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address may stand for: mapped, compatible, NAT64, 6to4, Teredo."""
    if isinstance(address, IPv4Address):
        return []
    number = int(address)
    for network, shift in CARRIERS:
        if address in network:
            return [IPv4Address(number >> shift & WORD)]
    if address in LOCAL_NAT64:
        # A /96 chosen inside the prefix, or the /48 itself, which leaves out the eight bits in the middle (RFC 6052).
        return [IPv4Address(number & WORD), IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)]
    if address in TEREDO:  # the server's address, and the client's with its bits turned (RFC 4380)
        return [IPv4Address(number >> 64 & WORD), IPv4Address(~number & WORD)]
    return []


@dataclass(frozen=True, slots=True)
class AddressRank:
    """Where an address stands: 0 outside, 1 inside (refused under `public`), 2 never reached; and what it is."""

    rank: int
    what: Text


OUTSIDE = AddressRank(0, Reason("address_public"))


@lru_cache(4096)
def standing(address: Address) -> AddressRank:
    """The worst that an address, or an IPv4 address carried in it, is."""
    for network, what in NEVER:
        if address in network:
            return AddressRank(2, what)
    own = next((AddressRank(1, what) for network, what in INSIDE if address in network), OUTSIDE)
    within = [] if address == LOOPBACK6 else carried(address)
    if within:
        return max(own, *map(standing, within), key=lambda each: each.rank)
    if own is OUTSIDE and isinstance(address, IPv6Address) and address not in GLOBAL6:
        return AddressRank(2, RESERVED)
    return own


def is_loopback(host: str) -> bool:
    """Whether a host of a URL means this machine, in any spelling; of names `localhost` alone."""
    address = literal(host)
    return host.rstrip(".").lower() == "localhost" if address is None else standing(address).what is LOOPBACK


@dataclass(frozen=True, slots=True)
class Allowed:
    """One entry of `egress_allow`: a network or a host name, on one port or on all (`port` None)."""

    network: Network | None
    host: str
    port: int | None

    def __str__(self) -> str:
        name = self.host or str(self.network).removesuffix("/32").removesuffix("/128")
        if self.port is None:
            return name
        return f"[{name}]:{self.port}" if ":" in name else f"{name}:{self.port}"

    def admits(self, address: Address, host: str, port: int | None) -> bool:
        """Whether this entry allows the address, dialled for `host` on `port`."""
        if self.port is not None and self.port != port:
            return False
        network = self.network
        if network is None:
            return self.host == host.rstrip(".").lower()
        within = carried(address)
        return address in network or (bool(within) and all(each in network for each in within))

    def shared(self, other: Allowed) -> Allowed | None:
        """What both entries allow; None where that is nothing or can't be told before a name is looked up."""
        if self.port is not None and other.port is not None and self.port != other.port:
            return None
        port = other.port if self.port is None else self.port
        if self.network is None or other.network is None:
            return Allowed(None, self.host, port) if self.host and self.host == other.host else None
        if covers(self.network, other.network):
            return Allowed(other.network, "", port)
        return Allowed(self.network, "", port) if covers(other.network, self.network) else None


def covers(large: Network, small: Network) -> bool:
    """Whether `small` lies in `large`."""
    if isinstance(large, IPv4Network):
        return isinstance(small, IPv4Network) and small.subnet_of(large)
    return isinstance(small, IPv6Network) and small.subnet_of(large)


@dataclass(frozen=True, slots=True)
class Egress:
    """The settings `egress` and `egress_allow` (docs/reference/settings.md, docs/security.md)."""

    mode: Mode = "private"
    allow: tuple[Allowed, ...] = ()

    @classmethod
    def parse(cls, mode: str, allow: str = "") -> Egress:
        """The policy of the two settings as written.

        `allow` holds entries parted by commas or white space: an address, a network (`10.0.0.0/8`) or a host name; a
        port may follow an address or a name and is then the only one (`erp.local:8080`, `[fd00::7]:443`).

        Raises:
            InvalidSetting: another mode, or an entry that is none of these or lies where nothing is ever allowed.
        """
        if mode not in ("private", "public"):
            text = Text('"{value}" is neither private nor public.', value=mode)
            raise InvalidSetting([Problem("egress", text)])
        return cls(cast(Mode, mode), tuple(dict.fromkeys(entries(allow))))

    def stricter(self, other: Egress) -> Egress:
        """What both policies allow: an argument or a variable may tighten the stored setting, never widen it."""
        if self.mode == "private":
            return other
        if other.mode == "private":
            return self
        both = (mine.shared(theirs) for mine in self.allow for theirs in other.allow)
        return Egress("public", tuple(dict.fromkeys(each for each in both if each is not None)))

    def with_loopback(self) -> Egress:
        """The same policy, and this machine itself may be reached."""
        return Egress(self.mode, (*self.allow, *entries("127.0.0.0/8 ::1")))

    def verdict(self, address: str, *, host: str = "", port: int | None = None) -> Text | None:
        """Why `address`, dialled for the host name `host`, must not be reached; None if it may."""
        known = literal(address)
        if known is None:
            return Reason("address_none", address=address)
        found = standing(known)
        if found.rank == 2:
            return Reason("address_refused", address=address, what=found.what)
        if found.rank == 0 or self.mode == "private" or any(each.admits(known, host, port) for each in self.allow):
            return None
        return Reason(
            "address_not_allowed",
            address=address,
            what=found.what,
        )


def entries(text: str) -> Iterator[Allowed]:
    """The entries of `egress_allow`. Raises InvalidSetting: one names what is never called."""
    for word in re.split(r"[,\s]+", text.strip()):
        if not word:
            continue
        try:
            entry = Allowed(ip_network(word), "", None)
        except ValueError:
            entry = endpoint(word)
        network = entry.network
        if network is not None:
            for never, what in NEVER:
                if covers(never, network):
                    text_ = Text('"{value}" can\'t be allowed: it is {what}.', value=word, what=what)
                    raise InvalidSetting([Problem("egress_allow", text_)])
        yield entry


def endpoint(word: str) -> Allowed:
    """An entry that is no network: `host`, `host:port`, `address:port`, `[address]:port`."""
    wrong = InvalidSetting(
        [
            Problem(
                "egress_allow",
                Text('"{value}" is not an address, network (10.0.0.0/8), host name or host:port.', value=word),
            )
        ]
    )
    host, colon, port = word.rpartition(":")
    if not colon or word.endswith("]"):
        host, port = word, ""
    elif not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise wrong
    number = int(port) if port else None
    known = literal(host)
    if known is not None:
        return Allowed(ip_network(known), "", number)
    name = host.rstrip(".").lower()
    if not name.isascii():
        import idna

        with suppress(idna.IDNAError):
            name = idna.encode(host.rstrip("."), uts46=True).decode("ascii")
    if not NAME.fullmatch(name):
        raise wrong
    return Allowed(None, name, number)
