"""Forwarded addresses are believed only from a proxy that the operator named."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

# What the middleware leaves of headers that it took away.
MARK = "palette.forwarded"
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT")


def came_forwarded(request: HttpRequest) -> bool:
    """Whether something between claims to have passed the request on, be it trusted or not."""
    return bool(request.META.get(MARK, False))


class TrustedProxies:
    """Middleware: `REMOTE_ADDR` becomes the client's address, and what strangers claim in headers is removed.

    From a trusted proxy the nearest address in `X-Forwarded-For` that is not itself a trusted proxy counts, and
    `X-Forwarded-Proto` stays for Django to read; the host is never taken from a header other than `Host`.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.trusted = [ip_network(network) for network in settings.TRUSTED_PROXIES]
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Settle the addresses, then go on; what comes back may be a coroutine."""
        claimed = {name: request.META.pop(name, "") for name in FORWARDED}
        request.META[MARK] = any(claimed.values()) or "HTTP_FORWARDED" in request.META or "HTTP_VIA" in request.META
        if self.trusts(request.META.get("REMOTE_ADDR", "")):
            request.META["REMOTE_ADDR"] = self.client(claimed["HTTP_X_FORWARDED_FOR"], request.META["REMOTE_ADDR"])
            request.META["HTTP_X_FORWARDED_PROTO"] = claimed["HTTP_X_FORWARDED_PROTO"]
        else:
            request.META.pop("HTTP_X_REQUEST_ID", None)
        # Built lazily from META; a middleware before us may have looked.
        request.__dict__.pop("headers", None)
        return self.get_response(request)

    def trusts(self, address: str) -> bool:
        """Whether `address` belongs to a named proxy."""
        try:
            place = ip_address(address)
        except ValueError:
            return False
        return any(place in network for network in self.trusted)

    def client(self, forwarded_for: str, proxy: str) -> str:
        """The nearest address that is not a trusted proxy; the farthest proxy if all are, or the header is odd."""
        nearest = proxy
        for claimed in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
            try:
                ip_address(claimed)
            except ValueError:
                return nearest
            nearest = claimed
            if not self.trusts(claimed):
                break
        return nearest
