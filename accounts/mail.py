"""Mail of an installation without a mail server."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.filebased import EmailBackend


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
