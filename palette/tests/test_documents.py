"""Every link of the documents into this repository leads somewhere: the file is there, and so is the heading."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK: Final = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(page: Path, text: str) -> Iterator[str]:
    """Links of `page` to what is not there."""
    for link in ("".join(found) for found in LINK.findall(text)):
        place, _, anchor = link.partition("#")
        if ":" in place:
            continue
        target = page.parent / place if place else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_leads_somewhere(page: Path) -> None:
    assert list(dead(page, page.read_text())) == []


def test_would_miss_a_file_and_a_heading() -> None:
    text = "[a](api.md) [b](nothing.md) [c](queue.md#nothing) [d](#also-nothing) [e](https://example.com/x.md#y)"

    assert list(dead(ROOT / "docs" / "page.md", text)) == ["nothing.md", "queue.md#nothing", "#also-nothing"]
