"""`make bench`: every benchmark on SQLite, and on PostgreSQL with Redis where they can be reached."""

import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import latency
from benchmarks.product import ROOT, reachable_services, running_product

RESULTS = ROOT / "var" / "bench.json"
COLUMNS = ("id", "where", "value", "iqr", "p95", "goal", "reference", "verdict", "name")


def main() -> int:
    """1 when a goal is missed by a run that counts."""
    places: dict[str, dict[str, str]] = {"sqlite": {}}
    if services := reachable_services():
        places["services"] = services
    rows: list[dict[str, Any]] = []
    for where, variables in places.items():
        with tempfile.TemporaryDirectory(prefix="palette-bench-") as name:
            folder = Path(name)
            try:
                with running_product(folder, variables) as product:
                    rows.append(latency.measure(product, folder, where=where))
            except Exception:
                sys.stderr.write((folder / "processes.log").read_text(errors="replace")[-4000:])
                raise
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    show(rows)
    return int(any(verdict(row) == "missed" for row in rows))


def verdict(row: dict[str, Any]) -> str:
    """`met`, `missed`, or `void`: too noisy to say. The goal has a margin of twice the spread."""
    if row["void"]:
        return "void"
    better = 1 if row["better"] == "lower" else -1
    return "met" if better * (row["value"] - row["goal"]) <= 2 * row["iqr"] else "missed"


def show(rows: list[dict[str, Any]]) -> None:
    """A table, and the machine it was measured on."""
    print(f"{machine()}\n")
    cells = [list(COLUMNS)]
    for row in rows:
        shown = row | {"verdict": verdict(row), "reference": row["reference"]["value"]}
        cells.append([str(shown[column]) for column in COLUMNS])
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def machine() -> str:
    """Processor, cores, kernel, Python."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = models[0].partition(":")[2].strip() if models else platform.processor()
    return f"{len(models)} × {processor}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
