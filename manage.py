#!/usr/bin/env python
"""Django's command line for Directors Palette."""

import os
import sys


def main() -> None:
    """Run one management command; a bad setting ends it with one sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")
    from palette.environment import BadSetting

    try:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except BadSetting as error:
        sys.exit(f"Directors Palette cannot start: {error}")


if __name__ == "__main__":
    main()
