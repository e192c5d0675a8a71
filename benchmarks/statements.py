"""B6: how often an address asks the database, for fifty of everything and for five.

`palette/tests/test_statements.py` counts at every address that shows something, at the provider's door and at the
creator's, and fails where fifty take more than five, or either more than `statements.json` allows. Here it is run on
this place's database.
"""

import json
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.place import Place
from benchmarks.processes import ROOT, surroundings
from benchmarks.rows import Row, row

TEST = "palette/tests/test_statements.py"
BUDGETS = "palette/tests/statements.json"
GOALS = {"GET /gallery/": 6, "GET /api/gallery/assets/{id}": 8, "webhook succeeded": 12, "submit first": 20}


def measure(place: Place) -> Iterator[Row]:
    """The ratio, and the budgets that have a goal; all void where the test fails."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST]
    services = {name: value for name, value in place.variables.items() if not name.startswith("S3_")}
    done = subprocess.run(
        command, cwd=ROOT, env=surroundings() | services, check=False, stdout=subprocess.PIPE, text=True
    )
    sys.stderr.write(done.stdout if done.returncode else "")
    failed = "the test fails" if done.returncode else ""
    yield row(
        "B6",
        "statements for fifty to those for five, at each address",
        place.where,
        [1.0],
        unit="1",
        goal=1.0,
        reference=("five of everything", None),
        void=failed,
    )
    budgets = json.loads((ROOT / BUDGETS).read_text())
    for name, goal in GOALS.items():
        yield row(
            "B6",
            f"statements at most: {name}",
            place.where,
            [budgets[name]],
            unit="1",
            goal=goal,
            reference=("", None),
            void=failed,
        )
