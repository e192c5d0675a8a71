"""`make rehearse`: a whole machine under load on PostgreSQL, Redis and an S3 server, while it is restarted and killed.

Writes docs/reliability/rehearsal.md. Exit status 1 when a request failed or a promise was broken.
"""

import argparse
import json
import os
import subprocess
import sys

from gallery.tests.s3server import s3_server
from generation.tests.torture.__main__ import DATABASES
from generation.tests.torture.rows import ROOT
from palette.environment import VARIABLES
from palette.tests.__main__ import say, without_database, without_redis

REPORT = ROOT / "docs" / "reliability" / "rehearsal.md"
TEST = "generation/tests/torture/test_deploying.py"


def main() -> int:
    """One run of the same test that is one row of `make torture`, only longer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=20.0, help="predictions a second")
    parser.add_argument("--seconds", type=float, default=300.0, help="for how long they are asked for")
    asked = parser.parse_args()
    if problem := without_database() or without_redis():
        say(f"cannot be whole: {problem}")
        return 1
    with s3_server() as server:
        given = {
            "REHEARSAL": json.dumps({"rate": asked.rate, "seconds": asked.seconds, "report": str(REPORT)}),
            "CI": "true",
        }
        kept = {name: value for name, value in os.environ.items() if name not in {*VARIABLES} - {*DATABASES}}
        command = [sys.executable, "-m", "pytest", TEST, "-m", "row", "--timeout", "3600"]
        code = subprocess.run(command, cwd=ROOT, env=kept | server.variables | given, check=False).returncode
    say(f"are written down in {REPORT.relative_to(ROOT)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
