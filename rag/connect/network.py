"""Which addresses of the network may be asked: a host's name becomes one checked address, and that one is used.

Takes   a host and a port.
Gives   the address to connect to. The name is resolved once and never again, so an answer that changes between check
        and connection (DNS rebinding) changes nothing.
Refuses addresses inside one's own network unless they are allowed: a page elsewhere must not make this machine ask its
        neighbours. Of several addresses all must be fit. What holds nobody's documents (link-local, where clouds keep
        their keys; multicast; unspecified) is never asked.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from rag.errors import LoadError

Resolve = Callable[[str, int], list[str]]
_NAT64 = ip_network("64:ff9b::/96")
_NEVER = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32", "0.0.0.0/8")))


def resolve(host: str, port: int) -> list[str]:
    """Every address that the system knows for a name."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


class Network:
    """See the module."""

    def __init__(self, *, allow_private: bool = False, resolve: Resolve = resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve

    def address(self, host: str, port: int) -> str:
        """A checked address of the host. Raises LoadError."""
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise LoadError(f"{host}: no address is known for it ({error}); check the name and the network") from error
        if not found:
            raise LoadError(f"{host}: no address is known for it; check the name and the network")
        for one in found:
            self._check(host, one)
        return found[0]

    def _check(self, host: str, address: str) -> None:
        ip = _plain(ip_address(address.partition("%")[0]))
        if ip.is_multicast or ip.is_unspecified or any(ip.version == n.version and ip in n for n in _NEVER):
            raise LoadError(f"{host}: its address {address} is never asked for documents")
        if not ip.is_global and not self._allow_private:
            raise LoadError(
                f"{host}: its address {address} lies inside a private network; if you mean it, add --allow-private"
            )


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped or ip.sixtofour:
            return ip.ipv4_mapped or ip.sixtofour or ip
        if ip.teredo:
            return ip.teredo[1]
        if ip in _NAT64:
            return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip
