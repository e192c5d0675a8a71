"""What a saved file is called: words of its title or prompt and its frame's number, safe wherever it is saved."""

import re
import unicodedata
from collections.abc import Container
from urllib.parse import quote

from gallery.files import EXTENSIONS
from gallery.models import Asset

# Four bytes each at most, so that a name of 255 bytes has room for number and extension.
MOST_CHARACTERS = 50


def file_name(asset: Asset) -> str:
    """Letters, digits and hyphens of any script; nothing that a path or a shell would read."""
    number = str(asset.frame_number) if asset.frame_number else f"{asset.created_at:%Y%m%d-%H%M%S}"
    said = words(asset.title) or words(asset.prompt) or ("frame" if asset.frame_number else "upload")
    return f"{said}-{number}.{EXTENSIONS.get(asset.content_type, 'bin')}"


def words(text: str) -> str:
    """The first words of `text`, joined by hyphens."""
    kept = (
        letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in unicodedata.normalize("NFC", text)
    )
    said = "-".join("".join(kept).split())
    return (
        said
        if len(said) <= MOST_CHARACTERS
        else said[: MOST_CHARACTERS + 1].rpartition("-")[0] or said[:MOST_CHARACTERS]
    )


def unique(name: str, taken: Container[str]) -> str:
    """`name`, with a number before its extension where it is taken, also by one that differs in case alone."""
    stem, _, extension = name.rpartition(".")
    number = 2
    while name.casefold() in taken:
        name, number = f"{stem}-{number}.{extension}", number + 1
    return name


def attachment(name: str) -> str:
    """A Content-Disposition that saves under `name`, and in ASCII for whoever reads no more (RFC 6266)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub("--+", "-", plain) if plain != name else name
    plain = "".join(letter if letter.isprintable() and letter not in '"\\%/' else "_" for letter in plain)
    header = f'attachment; filename="{plain.lstrip("-.") or "file"}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
