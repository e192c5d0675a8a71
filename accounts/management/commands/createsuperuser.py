"""`manage.py createsuperuser`: Django's, with a sentence for an e-mail that is taken."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError
from django.db import IntegrityError


class Command(createsuperuser.Command):
    """Django asks whether the name is free, and does not know that an e-mail has to be."""

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            super().handle(*args, **options)
        except IntegrityError:
            raise CommandError("Another account has this name or e-mail.") from None
