"""What the environment says, read once, typed, and refused with one sentence where it makes no sense.

Every variable is optional. `docs` for operators is the table in README.md; this module is its only reader.
"""

import os
import re
import secrets
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]"]
REPLICATE = "https://api.replicate.com"

# Every variable that the product reads. `SANDBOX_URL` is no setting of an operator's: `make run` tells its children.
VARIABLES: Final = (
    *("PORT", "HOST", "DATA_DIR", "DATABASE_URL", "REDIS_URL", "DB_POOL_SIZE", "TIME_ZONE"),
    *("SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "TRUSTED_PROXIES"),
    *("SIGNUP", "EMAIL_URL", "DEFAULT_FROM_EMAIL", "ADMIN_PATH", "PUBLIC_URL"),
    *("REPLICATE_API_TOKEN", "REPLICATE_BASE_URL", "REPLICATE_WEBHOOK_SECRET", "REPLICATE_OUTPUT_HOSTS"),
    *("DEFAULT_IMAGE_MODEL", "DEFAULT_VIDEO_MODEL"),
    *("S3_ENDPOINT_URL", "S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_REGION", "S3_PUBLIC_URL"),
    *("MAX_IN_FLIGHT", "MAX_IN_FLIGHT_PER_USER", "CREATES_PER_MINUTE"),
    *("DAILY_COUNT", "MONTHLY_COUNT", "DAILY_USD", "MONTHLY_USD", "SITE_DAILY_USD", "SITE_MONTHLY_USD"),
    *("SPOOL_DIR", "SPOOL_MAX_BYTES", "SENTRY_DSN", "LOG_LEVEL", "LOG_FORMAT", "SANDBOX_URL"),
)


class BadSetting(ImproperlyConfigured):
    """A variable that cannot be understood: names it, what was given and what is accepted."""

    def __init__(self, name: str, given: object, accepted: str) -> None:
        super().__init__(f"{name} is {given!r}, but {accepted}.")


@dataclass(frozen=True)
class Reader:
    """Typed look-ups over one mapping; each raises `BadSetting` for a value it cannot read."""

    values: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        return self.values.get(name, "").strip() or default

    def whole(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        given = self.text(name)
        if not given:
            return default
        if not re.fullmatch(r"[0-9]+", given) or not least <= int(given) <= most:
            raise BadSetting(name, given, f"a whole number from {least} to {most} is accepted")
        return int(given)

    def flag(self, name: str, default: bool = False) -> bool:
        given = self.text(name).lower()
        if not given:
            return default
        if given in {"1", "true", "yes", "on"}:
            return True
        if given in {"0", "false", "no", "off"}:
            return False
        raise BadSetting(name, given, "true or false is accepted")

    def names(self, name: str, default: list[str] | None = None) -> list[str]:
        given = self.text(name)
        return [part.strip() for part in given.split(",") if part.strip()] if given else list(default or [])

    def one_of(self, name: str, default: str, accepted: tuple[str, ...]) -> str:
        given = self.text(name, default)
        if given not in accepted:
            raise BadSetting(name, given, f"one of {', '.join(accepted)} is accepted")
        return given

    def dollars(self, name: str, default: Decimal | None) -> int | None:
        """Micro-dollars, or None where no limit applies (`none`)."""
        given = self.text(name).lower()
        if given == "none":
            return None
        if not given:
            return None if default is None else int(default * 1_000_000)
        try:
            amount = Decimal(given)
        except InvalidOperation:
            amount = Decimal(-1)
        if not amount.is_finite() or not 0 <= amount <= 1_000_000:
            raise BadSetting(name, given, "an amount in USD from 0 to 1000000, or none, is accepted")
        return int(amount * 1_000_000)

    def origin(self, name: str, default: str = "") -> str:
        """scheme://host[:port] without a path; plain http only for a loopback host."""
        given = self.text(name, default).rstrip("/")
        if not given:
            return ""
        accepted = "an https origin without a path is accepted (plain http for a loopback address only)"
        try:
            parts = urlsplit(given)
            _ = parts.port
        except ValueError:
            raise BadSetting(name, given, accepted) from None
        if not parts.hostname or parts.path or parts.query or parts.fragment or parts.username:
            raise BadSetting(name, given, accepted)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise BadSetting(name, given, accepted)
        return given

    def endpoint(self, name: str) -> str:
        """Like `origin`, but a path is allowed (Supabase's S3 endpoint has one) and so is plain http."""
        given = self.text(name).rstrip("/")
        if given:
            parts = urlsplit(given)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise BadSetting(name, given, "an http(s) address is accepted")
        return given

    def zone(self, name: str, default: str) -> str:
        given = self.text(name, default)
        if given not in zoneinfo.available_timezones():
            raise BadSetting(name, given, "a name from the IANA time zone list such as Europe/Berlin is accepted")
        return given

    def networks(self, name: str) -> list[str]:
        given = self.names(name)
        for network in given:
            try:
                ip_network(network)
            except ValueError:
                raise BadSetting(name, network, "addresses or networks separated by commas are accepted") from None
        return given


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this very machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def database(reader: Reader, data_dir: Path) -> dict[str, Any]:
    """Django's DATABASES entry of `DATABASE_URL`; SQLite in `DATA_DIR` without one."""
    given = reader.text("DATABASE_URL")
    if not given:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(data_dir / "palette.sqlite3")}
    if urlsplit(given).scheme not in {"postgres", "postgresql", "sqlite"}:
        shown = urlsplit(given).scheme or "without a scheme"
        raise BadSetting("DATABASE_URL", shown, "postgres://… or sqlite:///… is accepted")
    parsed: dict[str, Any] = environ.Env.db_url_config(given)
    return parsed


def kept_secret_key(data_dir: Path) -> str:
    """The key generated at the first embedded start, kept readable by the owner only."""
    path = data_dir / "secret_key"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return kept_secret_key(data_dir)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(64))
    return path.read_text().strip()
