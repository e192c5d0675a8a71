"""`check --deploy` and `collectstatic` under the settings of a production machine; they need no service."""

import os
import secrets
import sys
import tempfile

from palette.environment import VARIABLES


def main() -> None:
    """Exit 1 when Django has any warning about them, or a stylesheet names a file that is not there."""
    for name in VARIABLES:
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "palette.settings",
            "DATA_DIR": folder,
            "PUBLIC_URL": "https://studio.example.com",
            "ALLOWED_HOSTS": "studio.example.com",
            "SECRET_KEY": secrets.token_urlsafe(64),
            "REPLICATE_API_TOKEN": "r8_" + "0" * 37,
        }
        from django.core.management import execute_from_command_line

        execute_from_command_line([sys.argv[0], "check", "--deploy", "--fail-level", "WARNING"])

        from django.conf import settings

        settings.STATIC_ROOT = folder
        execute_from_command_line([sys.argv[0], "collectstatic", "--no-input", "--verbosity", "0"])


if __name__ == "__main__":
    main()
