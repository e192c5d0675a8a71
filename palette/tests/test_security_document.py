"""Every row of docs/security.md names checks, and each of them is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
# A command and a mark.
OTHERS: Final = {"make check", "make test", "browser"}


def rows() -> dict[str, str]:
    """What stands in the last column, by the row's number."""
    text = (ROOT / "docs" / "security.md").read_text()
    return dict(re.findall(r"^\| (S\d\d) \|.*\| (.+) \|$", text, re.MULTILINE))


def missing(checks: str) -> Iterator[str]:
    """What a cell names and is not there. A file without a folder lies where the one before it does."""
    folder = ROOT
    for named in re.findall(r"`([^`]+)`", checks):
        if named in OTHERS:
            continue
        place, _, parts = named.partition(": ")
        path = (ROOT if "/" in place else folder) / place
        folder = path.parent
        if not path.exists():
            yield named
            continue
        for part in filter(None, parts.split(", ")):
            if not re.search(sought(part), path.read_text(), re.MULTILINE):
                yield f"{place}: {part}"


def sought(part: str) -> str:
    """The class of this name, or a test in whose name these words stand."""
    return rf"^class {part}\b" if part.startswith("Test") else rf"^ *(async )?def test_\w*{part.replace(' ', '_')}"


def test_has_a_row_for_every_threat() -> None:
    assert list(rows()) == [f"S{number:02}" for number in range(1, 31)]


def test_names_checks_that_are_there() -> None:
    for number, checks in rows().items():
        assert "`" in checks, number
        assert list(missing(checks)) == [], number


def test_would_miss_a_check() -> None:
    named = "`palette/tests/test_rules.py: network`, `test_nothing.py`, `test_rules.py: TestNobody, no such words`"

    assert list(missing(named)) == ["test_nothing.py", "test_rules.py: TestNobody", "test_rules.py: no such words"]
