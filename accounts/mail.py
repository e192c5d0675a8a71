"""Mail of an installation without a mail server."""

from django.core.mail.backends.filebased import EmailBackend


class KeptMailBackend(EmailBackend):
    """Keeps each message under DATA_DIR/mail and prints it."""
