"""Which addresses may be read from: a table of the ways in which others were fooled, and two laws."""

import ipaddress
import random

import pytest

from rag_pipeline.errors import DocumentError
from rag_pipeline.sources.website_addresses import admitted, refusal, resolve

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd12:3456::1",
    "::ffff:10.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "2002:7f00:1::",
    "2002:0a00:0001::1",
    "64:ff9b::192.168.1.1",
    "64:ff9b::7f00:1",
]
NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "2001:db8::1",
    "2001::1",
    "3fff::1",
    "64:ff9b:1::1",
    "100::1",
    "::ffff:169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b::a9fe:a9fe",
    "::ffff:0.0.0.0",
    "",
    "localhost",
    "0x7f000001",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450::1"]
PUBLIC += ["64:ff9b::101:101", "2002:0101:0101::1", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_a_named_host(address: str) -> None:
    assert "private" in (refusal(address) or "")
    assert refusal(address, private=True) is None


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_admitted(address: str) -> None:
    assert refusal(address)
    assert refusal(address, private=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_admitted(address: str) -> None:
    assert refusal(address) is None


def test_nothing_is_admitted_that_python_calls_not_global() -> None:
    dice = random.Random(1)
    numbers = [dice.getrandbits(32) for _ in range(20_000)]
    for address in map(ipaddress.IPv4Address, numbers):
        if not address.is_global or address.is_multicast:
            assert refusal(str(address)), address
            assert refusal(f"::ffff:{address}"), address
            assert refusal(str(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80)))), address
    networks = ["2001::/22", "2001:db8::/32", "fc00::/7", "fe80::/9", "ff00::/8", "::/8", "3000::/4"]
    for network in map(ipaddress.IPv6Network, networks):
        for _ in range(500):
            address = network[dice.getrandbits(128 - network.prefixlen)]
            if address.is_private or address.is_multicast or address.is_link_local:
                assert refusal(str(address)), address


def test_one_refused_address_among_several_refuses_the_host() -> None:
    assert admitted("h", 80, False, lambda host, port: ["1.1.1.1", "2606:4700::1111"]) == ["1.1.1.1", "2606:4700::1111"]
    for others in (["10.0.0.1", "1.1.1.1"], ["1.1.1.1", "10.0.0.1"], ["1.1.1.1", "::1"]):
        with pytest.raises(DocumentError, match=r"h: \S+ is private"):
            admitted("h", 80, False, lambda host, port, others=others: others)
    with pytest.raises(DocumentError, match=r"169\.254"):
        admitted("h", 80, True, lambda host, port: ["10.0.0.1", "169.254.169.254"])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0x7f.1", "2130706433", "017700000001", "127.1"])
def test_what_the_system_resolves_to_this_machine_is_refused(host: str) -> None:
    assert resolve(host, 80)
    with pytest.raises(DocumentError, match="is private"):
        admitted(host, 80, False)
