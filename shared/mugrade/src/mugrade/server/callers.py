"""Where a request comes from: the client's network address, and the block of addresses it counts for."""

from __future__ import annotations

import ipaddress

from fastapi import Request


def address(request: Request) -> str:
    """The client's address, read past the reverse proxies that settings trust."""
    proxies = request.app.state.settings.trusted_proxies
    forwarded = request.headers.get("x-forwarded-for", "").split(",")
    if proxies and len(forwarded) >= proxies:
        return "".join(c for c in forwarded[-proxies].strip()[:64] if c.isprintable())
    return request.client.host if request.client else "unknown"


def block(request: Request) -> str:
    """What one person can easily have many of counts as one: an IPv6 address counts for its /64."""
    text = address(request)
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def is_local(request: Request) -> bool:
    """Whether the request was made on this machine, and by no proxy for somebody else.

    A peer without an address is one on a Unix socket.
    """
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(address(request)).is_loopback
    except ValueError:
        return True
