"""Mail that has to arrive, and mail of an installation without a mail server."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, send_mail
from django.core.mail.backends.filebased import EmailBackend

log = logging.getLogger(__name__)

# From here on an SMTP reply says that another try will be answered alike.
FOR_GOOD = 500


class MailUnsent(Exception):
    """The mail server was not reached, or did not take the message now; another try may succeed."""


def send(*, subject: str, text: str, to: Sequence[str]) -> None:
    """Send one message now. What the server refuses for good is logged and counts as sent. Raises `MailUnsent`."""
    with leaving():
        # A name in the subject may hold what no header may.
        send_mail(" ".join(subject.split()), text, settings.DEFAULT_FROM_EMAIL, list(to))


@contextmanager
def leaving() -> Iterator[None]:
    """Around whatever sends a message: the server's troubles as `send` has them."""
    try:
        yield
    except (SMTPException, OSError) as error:
        if not _is_final(error):
            raise MailUnsent(type(error).__name__) from error
        log.warning("a message was refused by the mail server (%s)", type(error).__name__)


def _is_final(error: Exception) -> bool:
    """Whether the server refused this very message; a wrong password or sender would refuse all of them."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(code >= FOR_GOOD for code, _ in error.recipients.values())
    return isinstance(error, SMTPDataError) and error.smtp_code >= FOR_GOOD


class KeptMailBackend(EmailBackend):
    """Keeps each message under DATA_DIR/mail, readable by the owner only, and prints it on the console."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        folder = kwargs.setdefault("file_path", str(settings.DATA_DIR / "mail"))
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(*args, **kwargs)

    def write_message(self, message: EmailMessage) -> None:
        super().write_message(message)
        to = ", ".join(message.to)
        sys.stderr.write(f"\nMail to {to}: {message.subject}\n\n{message.body}\n\n")
        sys.stderr.flush()
