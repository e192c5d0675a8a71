"""The style sheets: colours only from the tokens, every token there, everything in a layer, nothing left over."""

import re
from pathlib import Path
from typing import Final

import pytest
from django.conf import settings

ROOT: Final = Path(settings.BASE_DIR)
SHEETS: Final = {sheet.name: sheet for sheet in sorted((ROOT / "static" / "css").glob("*.css"))}
TOKENS: Final = "tokens.css"
# These stand beside sheets of others that know no layers; what is in none wins over what is in one.
BESIDE_OTHERS: Final = {"admin.css", "oversight.css", "api-docs.css"}
OURS: Final = sorted(SHEETS.keys() - BESIDE_OTHERS - {TOKENS})


def rules(name: str) -> str:
    """A sheet without what it says to people."""
    return re.sub(r"/\*.*?\*/", "", SHEETS[name].read_text(), flags=re.DOTALL)


def outside_layers(css: str) -> str:
    """What no layer's braces are around."""
    depth, kept, since = 0, [], 0
    for found in re.finditer(r"@layer [\w, ]+[;{]|[{}]", css):
        if depth == 0 and found[0].startswith("@layer"):
            kept.append(css[since : found.start()])
            depth, since = int(found[0].endswith("{")), found.end()
        elif depth:
            depth += -1 if found[0] == "}" else 1
            since = found.end()
    return "".join([*kept, css[since:]]).strip()


@pytest.mark.parametrize("name", sorted(SHEETS.keys() - {TOKENS}))
def test_colours_come_from_the_tokens(name: str) -> None:
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[^{}]*;)|\b(?:rgb|hsl|oklch|lab)a?\(", rules(name)) == []


def test_every_token_that_is_used_is_there() -> None:
    css = {name: rules(name) for name in SHEETS}
    # Beside the tokens, the variables of Django's admin, which admin.css sets.
    there = set(re.findall(r"(--[\w-]+):", css[TOKENS] + css["admin.css"]))

    missing = {
        (name, used)
        for name, text in css.items()
        for used in re.findall(r"var\((--[\w-]+)", text)
        if used not in there and f"{used}:" not in text
    }

    assert missing == set()


@pytest.mark.parametrize("name", OURS)
def test_everything_is_in_a_layer(name: str) -> None:
    assert outside_layers(rules(name)) == ""


@pytest.mark.parametrize("name", OURS)
def test_nothing_is_left_over(name: str) -> None:
    places = ("templates/**/*.html", "static/js/*.js", "*/templatetags/*.py", "*/web/*.py")
    written = "\n".join(path.read_text() for place in places for path in ROOT.glob(place))
    selectors = "\n".join(re.findall(r"([^{};]+)\{", rules(name)))

    classes = set(re.findall(r"\.([a-zA-Z][\w-]*)", selectors))

    assert {one for one in classes if not re.search(rf"(?<![\w-]){one}(?![\w-])", written)} == set()
