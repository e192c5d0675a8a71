"""What the addresses of a database, a cache and a mail server mean in Django's words."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import environ

from palette.environment import BadSetting, Reader

# Django's, with another way to wait, and with statements that are planned once.
SQLITE: Final = "palette.sqlite"
POSTGRESQL: Final = "palette.postgresql"
MAIL_TIMEOUT_SECONDS: Final = 10
# Scheme: port, STARTTLS, TLS from the first byte.
MAIL: Final = {
    "smtp": (25, False, False),
    "smtp+tls": (587, True, False),
    "smtp+ssl": (465, False, True),
    "smtps": (465, False, True),
}


def database(reader: Reader, data_dir: Path) -> dict[str, Any]:
    """Django's entry for `DATABASE_URL`; SQLite in `DATA_DIR` without one. Raises BadSetting."""
    given = reader.text("DATABASE_URL")
    accepted = "postgres://user:password@host:port/name or sqlite:////path/of/file is accepted"
    if given in {"", "sqlite:///"}:
        return {"ENGINE": SQLITE, "NAME": str(data_dir / "palette.sqlite3")}
    try:
        if urlsplit(given).scheme not in {"postgres", "postgresql", "sqlite"}:
            raise ValueError
        parsed: dict[str, Any] = environ.Env.db_url_config(given)
    except (ValueError, KeyError):
        raise BadSetting("DATABASE_URL", given, accepted) from None
    # In memory, each process would have a database of its own.
    if parsed["NAME"] in {"", ":memory:"}:
        raise BadSetting("DATABASE_URL", given, accepted)
    if parsed["ENGINE"].endswith("sqlite3"):
        return parsed | {"ENGINE": SQLITE, "NAME": str(Path(parsed["NAME"]).resolve())}
    return parsed | {"ENGINE": POSTGRESQL}


def redis(reader: Reader) -> str:
    """`REDIS_URL`, or nothing. Raises BadSetting."""
    given = reader.text("REDIS_URL")
    if given:
        try:
            parts = urlsplit(given)
            understood = parts.scheme in {"redis", "rediss"} and parts.hostname and (parts.port or True)
            understood = understood and (parts.path.strip("/") or "0").isdigit()
        except ValueError:
            understood = False
        if not understood:
            raise BadSetting("REDIS_URL", given, "redis://host:port/number or rediss://… is accepted")
    return given


def broker(reader: Reader) -> str:
    """`CELERY_BROKER_URL`, or nothing. Raises BadSetting."""
    given = reader.text("CELERY_BROKER_URL")
    try:
        parts = urlsplit(given)
        understood = parts.scheme in {"redis", "rediss", "amqp", "amqps"} and parts.hostname and (parts.port or True)
    except ValueError:
        understood = False
    if given and not understood:
        raise BadSetting("CELERY_BROKER_URL", given, "redis://…, rediss://…, amqp://… or amqps://… is accepted")
    return given


def mail(reader: Reader, data_dir: Path) -> dict[str, Any]:
    """Django's EMAIL_ settings for `EMAIL_URL`; without one, messages are kept in `DATA_DIR`. Raises BadSetting."""
    given = reader.text("EMAIL_URL")
    if not given:
        return {"EMAIL_BACKEND": "accounts.mail.KeptMailBackend", "EMAIL_FILE_PATH": str(data_dir / "mail")}
    try:
        parts = urlsplit(given)
        port, starttls, tls = MAIL[parts.scheme]
        port = parts.port or port
        if not parts.hostname or parts.path.strip("/"):
            raise ValueError
    except (ValueError, KeyError):
        raise BadSetting(
            "EMAIL_URL", given, "smtp://, smtp+tls:// or smtps:// with user:password@host:port is accepted"
        ) from None
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": starttls,
        "EMAIL_USE_SSL": tls,
        "EMAIL_TIMEOUT": MAIL_TIMEOUT_SECONDS,
    }
