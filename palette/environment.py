"""What the environment says, read once, typed, and refused with one sentence where it makes no sense.

Every variable is optional; README.md has the table for operators.
"""

import contextlib
import os
import re
import secrets
import sys
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]"]
REPLICATE = "https://api.replicate.com"

# Every variable that the product reads. `SANDBOX_URL` is no setting of an operator's: `make run` tells its children.
VARIABLES: Final = (
    *("PORT", "HOST", "DATA_DIR", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "DB_POOL_SIZE", "TIME_ZONE"),
    *("SECRET_KEY", "SECRET_KEY_FALLBACKS", "DEBUG", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "TRUSTED_PROXIES"),
    *("SIGNUP", "EMAIL_URL", "DEFAULT_FROM_EMAIL", "ADMIN_PATH", "PUBLIC_URL"),
    *("REPLICATE_API_TOKEN", "REPLICATE_BASE_URL", "REPLICATE_WEBHOOK_SECRET", "REPLICATE_OUTPUT_HOSTS"),
    *("DEFAULT_IMAGE_MODEL", "DEFAULT_VIDEO_MODEL"),
    *("S3_ENDPOINT_URL", "S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_REGION", "S3_PUBLIC_URL"),
    *("MAX_IN_FLIGHT", "MAX_IN_FLIGHT_PER_USER", "CREATES_PER_MINUTE"),
    *("DAILY_COUNT", "MONTHLY_COUNT", "DAILY_USD", "MONTHLY_USD", "SITE_DAILY_USD", "SITE_MONTHLY_USD"),
    *("KEEP_DELIVERIES_DAYS", "KEEP_EVENTS_DAYS", "KEEP_KEYS_DAYS", "KEEP_NOTICES_DAYS"),
    *("TRASH_DAYS", "STORAGE_MAX_BYTES"),
    *("SITE_DAILY_COUNT", "SITE_MONTHLY_COUNT", "MAX_QUEUED", "MAX_QUEUED_PER_USER"),
    *("ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET", "WEBHOOK_HOSTS"),
    *("SPOOL_DIR", "SPOOL_MAX_BYTES", "SENTRY_DSN", "LOG_LEVEL", "LOG_FORMAT", "METRICS_TOKEN", "SANDBOX_URL"),
)


# What these hold is never shown, not even in the sentence that refuses it.
SECRETS: Final = frozenset(
    {"SECRET_KEY", "REPLICATE_API_TOKEN", "REPLICATE_WEBHOOK_SECRET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"}
    | {"DATABASE_URL", "REDIS_URL", "EMAIL_URL", "SENTRY_DSN", "ALERT_WEBHOOK_SECRET", "ALERT_WEBHOOK_URL"}
    | {"METRICS_TOKEN", "SECRET_KEY_FALLBACKS", "CELERY_BROKER_URL"}
)
LEAST_SECRET_KEY: Final = 50


class BadSetting(ImproperlyConfigured):
    """A variable that cannot be understood: one sentence with its name, what was given and what is accepted."""

    def __init__(self, name: str, given: object, accepted: str) -> None:
        if given == "":
            shown = "is not set"
        elif name in SECRETS:
            shown = f"is a value of {len(str(given))} characters (not shown here)"
        else:
            shown = f"is {given!r}"
        super().__init__(f"{name} {shown}, but {accepted}.")


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """Where a process begins: a bad setting ends it with its sentence instead of a stack trace."""
    try:
        yield
    except BadSetting as error:
        sys.exit(f"Directors Palette cannot start: {error}")


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
        if not re.fullmatch(r"[0-9]{1,19}", given) or not least <= int(given) <= most:
            raise BadSetting(name, given, f"a whole number from {least} to {most} is accepted")
        return int(given)

    def count_or_none(self, name: str) -> int | None:
        """A whole number, or None where no limit applies: when nothing or `none` is given."""
        given = self.text(name)
        return None if given.lower() in {"", "none"} else self.whole(name, 0)

    def flag(self, name: str, default: bool = False) -> bool:
        given = self.text(name)
        if not given:
            return default
        if given.lower() in {"1", "true", "yes", "on"}:
            return True
        if given.lower() in {"0", "false", "no", "off"}:
            return False
        raise BadSetting(name, given, "true or false is accepted")

    def matching(self, name: str, default: str, *, pattern: str, accepted: str) -> str:
        """A text that `pattern` describes as a whole."""
        given = self.text(name, default)
        if given and not re.fullmatch(pattern, given):
            raise BadSetting(name, given, f"{accepted} is accepted")
        return given

    def names(self, name: str, default: list[str], *, pattern: str, accepted: str) -> list[str]:
        """Texts separated by commas, each of which `pattern` describes as a whole."""
        given = [part.strip() for part in self.text(name).split(",") if part.strip()]
        for part in given:
            if not re.fullmatch(pattern, part):
                raise BadSetting(name, part, f"{accepted}, separated by commas, is accepted")
        return given or list(default)

    def one_of(self, name: str, default: str, accepted: tuple[str, ...]) -> str:
        given = self.text(name, default)
        if given not in accepted:
            raise BadSetting(name, given, f"one of {', '.join(accepted)} is accepted")
        return given

    def dollars(self, name: str, default: Decimal | None) -> int | None:
        """Micro-dollars, or None where no limit applies (`none`)."""
        given = self.text(name)
        if given.lower() == "none":
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

    def receiver(self, name: str) -> str:
        """Like `origin`, with a path and a query; what is posted there leaves through the guarded fetcher."""
        given = self.text(name)
        accepted = "an https address is accepted (plain http for 127.0.0.1, [::1] or localhost only)"
        try:
            parts = urlsplit(given)
            _ = parts.port
        except ValueError:
            raise BadSetting(name, given, accepted) from None
        plain = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}
        odd = parts.fragment or "@" in parts.netloc or not re.fullmatch(r"[!-~]{1,2000}", given) or "\\" in given
        if given and (not parts.hostname or odd or not (plain or parts.scheme == "https")):
            raise BadSetting(name, given, accepted)
        return given

    def endpoint(self, name: str) -> str:
        """Like `origin`, but a path is allowed (Supabase's S3 endpoint has one) and so is plain http."""
        given = self.text(name).rstrip("/")
        accepted = "an http or https address without query and password is accepted"
        try:
            parts = urlsplit(given)
            _ = parts.port
        except ValueError:
            raise BadSetting(name, given, accepted) from None
        odd = parts.query or parts.fragment or parts.username or re.search(r"\s", given)
        if given and (parts.scheme not in {"http", "https"} or not parts.hostname or odd):
            raise BadSetting(name, given, accepted)
        return given

    def zone(self, name: str, default: str) -> str:
        given = self.text(name, default)
        if given not in zoneinfo.available_timezones():
            raise BadSetting(name, given, "a name from the IANA time zone list such as Europe/Berlin is accepted")
        return given

    def networks(self, name: str) -> list[str]:
        given = self.names(name, [], pattern=".+", accepted="")
        for network in given:
            try:
                ip_network(network)
            except ValueError:
                raise BadSetting(
                    name, network, "IP addresses or networks such as 10.0.0.0/8, separated by commas, are accepted"
                ) from None
        return given


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this very machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def folder(path: Path) -> Path:
    """`path` as DATA_DIR: made if need be, for its owner only."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise BadSetting("DATA_DIR", str(path), "a folder that can be made and written is accepted") from None
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        raise BadSetting("DATA_DIR", str(path), "a folder that can be made and written is accepted")
    return path


def kept_secret_key(data_dir: Path) -> str:
    """The key generated at the first embedded start, readable by the owner only, the same for all processes."""
    path = folder(data_dir) / "secret_key"
    if not path.exists():
        draft = path.with_name(f"secret_key.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
        with contextlib.suppress(FileExistsError):  # another process was first: its key counts
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()
