"""Which addresses a website may be read from: public ones, and private ones of hosts that rag.toml names.

What a name stands for is decided here and nowhere else, on the numbers that a connection is then made to:
a name that resolves to something else a moment later is of no consequence. One refused address among
several refuses the name.
"""

import ipaddress
import socket
from collections.abc import Callable

from rag_pipeline.errors import DocumentError

Resolver = Callable[[str, int], list[str]]
"""Given a host and a port: its addresses as text. Raises `OSError` when it cannot tell."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _networks(*names: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, names))


_PRIVATE = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10", "fc00::/7", "::1")
"""What an intranet may use; `private_hosts` admits it."""

_METADATA = _networks(
    "169.254.0.0/16", "100.100.100.200", "168.63.129.16", "192.0.0.0/24", "fd00:ec2::/32", "fe80::/10"
)
"""Where clouds hand credentials to whoever asks from inside: never admitted, for no host."""

_NEVER = _networks("0.0.0.0/8", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24")
_NEVER += _networks("224.0.0.0/3", "2001::/23", "2001:db8::/32", "3fff::/20")
_GLOBAL = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_6TO4 = ipaddress.IPv6Network("2002::/16")


def resolve(host: str, port: int) -> list[str]:
    """Ask the system what a host's addresses are. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def admitted(host: str, port: int, private: bool, resolver: Resolver = resolve) -> list[str]:
    """Resolve a host once and return its addresses, in the order in which to try them.

    `private` says that the host may lie in an intranet. Raises `DocumentError` when any of the addresses
    is refused, `OSError` when the host cannot be resolved.
    """
    addresses = resolver(host, port)
    for address in addresses:
        if reason := refusal(address, private):
            raise DocumentError(f"{host}: {address} is {reason}; refused")
    return addresses


def refusal(address: str, private: bool = False) -> str | None:
    """Say why an address is refused; None when it is admitted."""
    try:
        known = _meant(ipaddress.ip_address(address))
    except ValueError:
        return "no address"
    if any(known in network for network in _METADATA):
        return "link-local, or where a cloud keeps its credentials"
    if any(known in network for network in _PRIVATE):
        return None if private else "private; name the host in private_hosts if the intranet is meant"
    if any(known in network for network in _NEVER) or (known.version == 6 and known not in _GLOBAL):
        return "reserved or multicast"
    return None


def _meant(address: Address) -> Address:
    """Return the address of version 4 that one of version 6 stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    number = int(address)
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in _NAT64 or 1 < number < 1 << 32:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF) if address in _6TO4 else address
