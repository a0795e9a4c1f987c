"""Which IP addresses are public.

Python's `ipaddress.is_global` depends on the registries at the time of each patch release, so the networks are listed
here: those of IANA's special-purpose address registries (2025), routable or not.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# https://www.iana.org/assignments/iana-ipv4-special-registry, and multicast (RFC 5771)
NOT_PUBLIC_IPV4 = tuple(
    ipaddress.IPv4Network(each)
    for each in (
        "0.0.0.0/8",  # this host on this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # behind a provider's NAT; clouds have their metadata here too
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # not in the registry: the host of Azure's machines
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # protocol assignments, and Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT relays
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private use
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

# All public IPv6 addresses are in this network, except those that NAT64 derives from public IPv4 addresses (RFC
# 6052).
PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# https://www.iana.org/assignments/iana-ipv6-special-registry, within that network
NOT_PUBLIC_IPV6 = tuple(
    ipaddress.IPv6Network(each)
    for each in (
        "2001::/23",  # protocol assignments: Teredo, which carries another address inside, benchmarks, ORCHID, ...
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries another address inside
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


def is_public(address: Address) -> bool:
    """Whether an address is public, and does not contain another address that is not."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_IPV4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in PUBLIC_IPV6 and not any(address in network for network in NOT_PUBLIC_IPV6)
