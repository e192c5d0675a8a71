"""`make torture-mutants`: one guard of the product is removed at a time, and a named row must turn red.

Writes docs/reliability/mutants.md. Exit status 1 when a mutant survives, or its line is no longer in the code.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from generation.tests.torture.mutant_list import MUTANTS, Mutant
from generation.tests.torture.rows import ROOT
from palette.environment import VARIABLES

TABLE = ROOT / "docs" / "reliability" / "mutants.md"
LONGEST_SECONDS = 240
AT_ONCE = 2


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant: `red` by an assertion of its row, and the first words of it."""

    mutant: Mutant
    red: bool
    words: str
    seconds: float


def main() -> int:
    """Try all, or those whose name contains the first argument."""
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [mutant for mutant in MUTANTS if part in mutant.name]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        verdicts = list(pool.map(try_one, chosen))
    survived = [verdict for verdict in verdicts if not verdict.red]
    if not part:
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        TABLE.write_text("\n".join(page(verdicts)) + "\n")
    for verdict in survived:
        sys.stdout.write(f"SURVIVED {verdict.mutant.name}: {verdict.words}\n")
    return 1 if survived else 0


def try_one(mutant: Mutant) -> Verdict:
    """Break a copy of the product in one place and run the row that must notice."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "product"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "var", "*_cache", "__pycache__"))
        for file, old, new in mutant.edits:
            source = (copy / file).read_text()
            if source.count(old) != 1:
                return Verdict(mutant, False, f"its line is {source.count(old)} times in {file}", 0)
            (copy / file).write_text(source.replace(old, new))
        red, words = judge(copy, mutant)
    verdict = Verdict(mutant, red, words, time.monotonic() - began)
    sys.stdout.write(f"{'red' if red else 'SURVIVED':8} {mutant.name} ({verdict.seconds:.0f} s)\n")
    sys.stdout.flush()
    return verdict


def judge(copy: Path, mutant: Mutant) -> tuple[bool, str]:
    """Whether the row fails by an assertion, and what it says."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    words = ["-m", "pytest", f"generation/tests/torture/{mutant.test}", "-x", "-q", "-m", "row", "--tb=short"]
    words += ["--timeout", "100", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=copy,
            env=kept,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, "took too long"
    found = re.search(r"^E\s+(AssertionError: |assert |Failed: )?(.+)$", done.stdout, re.M)
    if done.returncode != 1 or not found:
        return False, f"pytest ended with {done.returncode}"
    return True, (found[1] or "") + found[2]


def page(verdicts: list[Verdict]) -> list[str]:
    """The table as it is kept."""
    red = sum(verdict.red for verdict in verdicts)
    lines = [
        "# Mutants, last run",
        "",
        f"`make torture-mutants` on {datetime.now(UTC):%Y-%m-%d}: a row of the fault matrix missed",
        f"{red} of {len(verdicts)} guards when each of them, alone, was removed from a copy of the product.",
        "",
        "| guard removed | in | row | turned red | how |",
        "|---|---|---|---|---|",
    ]
    for verdict in verdicts:
        mutant, how = verdict.mutant, verdict.words.replace("|", "/")[:110]
        colour = "red" if verdict.red else "**survived**"
        lines.append(f"| {mutant.name} | `{mutant.file}` | {mutant.row} | {colour}, {verdict.seconds:.0f} s | {how} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
