#!/usr/bin/env python
"""Django's command line for Directors Palette."""

import os
import sys

from palette.environment import one_sentence


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")
    from django.core.management import execute_from_command_line

    with one_sentence():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
