"""Absolute addresses for links in mail and on consoles, and the address a request came from."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def absolute(path: str, *, request: HttpRequest | None = None) -> str:
    """`path` under PUBLIC_URL; without one under the host that was asked, which ALLOWED_HOSTS has passed."""
    if settings.PUBLIC_URL:
        return f"{settings.PUBLIC_URL}{path}"
    if request is not None:
        return request.build_absolute_uri(path)
    if settings.PRODUCTION:
        return f"https://{settings.ALLOWED_HOSTS[0].lstrip('.')}{path}"
    return f"http://{settings.HOST}:{settings.PORT}{path}"


def client_address(request: HttpRequest) -> str:
    """Where a request came from. X-Forwarded-For is read from its end, and only as far as TRUSTED_PROXIES go."""
    here = str(request.META.get("REMOTE_ADDR", ""))
    hops = [hop.strip() for hop in str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",") if hop.strip()]
    while hops and _is_proxy(here) and _parsed(hops[-1]):
        here = hops.pop()
    return here


def _is_proxy(address: str) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(
        parsed in ip_network(network, strict=False) for network in settings.TRUSTED_PROXIES
    )


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None
