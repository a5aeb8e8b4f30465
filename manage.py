#!/usr/bin/env python
"""Django's command line, with Bakeoff's settings."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run a management command."""
    sys.path.insert(0, str(Path(__file__).parent / "platform"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415  path first

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
