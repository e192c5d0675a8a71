"""What operators read: one line or one JSON object per record, with every secret masked."""

import json
import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation

from accounts import log_context

MASK: Final = "***"
# Shorter values would mask ordinary words.
LEAST_SECRET: Final = 6
# Whoever calls may decide how long a message is: a Host header, an address.
MOST_CHARACTERS: Final = 32_768
REFUSALS: Final = (PermissionDenied, SuspiciousOperation, BadRequest)
# Each takes time in proportion to the text, whatever it says: no run of characters is looked through twice.
PATTERNS: Final = (
    # A header's or a keyword's value: `Authorization: Bearer …`, `'authorization': 'Token …'`.
    (
        re.compile(
            r"""(?i)(\bauthorization\b["']?\s*[:=,]\s*(?:b?["'])?)(?:(?:bearer|token|basic)\s+)?[^\s"',)}\]]+"""
        ),
        1,
    ),
    (re.compile(r"(?i)(\bbearer\s+)[\w.~+/=-]+"), 1),
    # Replicate's keys, webhook secrets, and our own API tokens.
    (re.compile(r"\b(r8_|whsec_|dp_)[\w+/=-]+"), 1),
    # The query string of an address that carries a signature or a token.
    (
        re.compile(
            r"""(?i)(\?)[^\s"'<>?]*?\b(?:x-amz-[a-z-]{1,30}|signature|token|credential|key|sig|share)=[^\s"'<>]*"""
        ),
        1,
    ),
    # The path of a link that opens something: shared work, or an account.
    (re.compile(r"(/s/|/accounts/(?:invitation|confirm-email|password/reset/key)/)[\w:%-]{16,}"), 1),
    # The password in an address.
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"), 1),
)


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without anything that opens a door: known kinds of secret, and `secrets` wherever they stand."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    for pattern, kept in PATTERNS:
        text = pattern.sub(rf"\g<{kept}>{MASK}", text)
    return text


def without_traceback_of_refusals(record: logging.LogRecord) -> bool:
    """A filter that lets everything pass: what a visitor may not do is a line, not a fault of ours to be traced."""
    if record.exc_info and isinstance(record.exc_info[1], REFUSALS):
        record.exc_info = None
    return True


def bounded(text: str) -> str:
    """`text`, cut at a space so that no secret is left by half, with the number of characters that it has lost."""
    if len(text) <= MOST_CHARACTERS:
        return text
    kept = text[:MOST_CHARACTERS].rpartition(" ")[0]
    return f"{kept} … {len(text) - len(kept)} more characters"


class MaskingFormatter(logging.Formatter):
    """A line of text. Masks the finished line, so that tracebacks are covered too."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self.secrets = sorted((secret for secret in secrets if len(secret) >= LEAST_SECRET), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The record as people read it."""
        return mask(super().format(record), self.secrets)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message apart from the traceback, so that a long one does not cost the other; then what it is about."""
        ids = " ".join(f"{name}={value}" for name, value in log_context.named().items())
        return bounded(super().formatMessage(record)) + (f" [{ids}]" if ids else "")

    def formatException(self, ei: Any) -> str:
        """The traceback."""
        return bounded(super().formatException(ei))


class JsonFormatter(MaskingFormatter):
    """One JSON object per line: time (UTC), level, logger, message; ids and exception where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as machines read it."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": bounded(record.getMessage()),
            **log_context.named(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        masked = {name: mask(value, self.secrets) for name, value in entry.items()}
        return json.dumps(masked, ensure_ascii=False)
