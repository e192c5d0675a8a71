"""What the design is made of: the custom properties of the tokens file by their kind, and the names of the icons."""

import re
from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings

STATIC: Final = Path(settings.BASE_DIR) / "static"
KINDS: Final = {
    "colours": "table|glow|sheet|raise|well|hover|line|edge-line|ink|ink-2|ink-3|pencil.*|on-.*|scrim|veil|film.*",
    "spaces": r"s-\d",
    "corners": "r-.+",
    "motions": "fast|calm|slow",
}


@cache
def tokens() -> dict[str, list[tuple[str, str]]]:
    """Name and value of each token, by kind."""
    css = (STATIC / "css" / "tokens.css").read_text()
    found = dict(re.findall(r"--([\w-]+): ([^;]+);", css.partition("@media")[0]))
    return {
        kind: [(name, value) for name, value in found.items() if re.fullmatch(names, name)]
        for kind, names in KINDS.items()
    }


@cache
def icons() -> list[str]:
    """The names of the symbols."""
    return re.findall(r'id="i-([\w-]+)"', (STATIC / "icons.svg").read_text())
