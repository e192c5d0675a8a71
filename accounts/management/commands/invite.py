"""`manage.py invite`: a link by which one person may sign up."""

import argparse
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.utils import timezone

from accounts.invitations import invite


class Command(BaseCommand):
    """Prints the link; handing it over is the caller's."""

    help = "Print a link that lets the owner of an e-mail address sign up once, within 14 days."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        try:
            validate_email(email)
        except ValidationError:
            raise CommandError(f"{email!r} is not an e-mail address.") from None
        _, link = invite(email=email, now=timezone.now())
        self.stdout.write(link)
