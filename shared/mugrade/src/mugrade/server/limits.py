"""How often one network address may try to sign in; per worker, which is near enough."""

from __future__ import annotations

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from mugrade.server.errors import Refusal
from mugrade.server.settings import Settings


class AddressLimit:
    """Counts requests of one kind and address in the running minute."""

    def __init__(self, settings: Settings) -> None:
        self._proxies = settings.trusted_proxies
        self._item = RateLimitItemPerMinute(settings.logins_per_minute)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def check(self, request: Request, kind: str) -> None:
        """Count this request; 429 beyond the limit."""
        if not self._limiter.hit(self._item, kind, self.address(request)):
            raise Refusal(
                429,
                "rate_limited",
                "Too many tries from your address; wait a minute.",
                retry_after=60,
            )

    def address(self, request: Request) -> str:
        """The client's address, read past the reverse proxies that settings trust."""
        forwarded = request.headers.get("x-forwarded-for", "").split(",")
        if self._proxies and len(forwarded) >= self._proxies:
            return forwarded[-self._proxies].strip()[:64]
        return request.client.host if request.client else "unknown"
