"""By what an asset is found: words and facets, and how each database's full-text search writes them.

Both databases get the same terms from here, so that both find the same. A word is folded: no case, no accents.
A facet (`favourite=1`, `tag=lake`) is a term like any other, so that a search with filters is one intersection of
lists, however few fit all of them.
"""

import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2s

WORD = re.compile(r"[^\W_]+")
LONGEST_WORD = 64
MOST_WORDS = 1000
# Of a search; what is typed beyond them narrows nothing.
MOST_ASKED = 12
# Both tokenizers take it for a letter, and no word begins with it: it is for private use.
MARK = "\ue000"
# A single letter would begin a good part of all words.
SHORTEST_BEGINNING = 2
# FTS5 has lists of the beginnings up to this length; of a longer one it would gather the list at each search.
LONGEST_LISTED = 6


def words(text: str) -> list[str]:
    """The words of a text, folded, in their order."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return [word[:LONGEST_WORD] for word in WORD.findall(plain)]


def facet(name: str, value: object) -> str:
    """A filter's value as one term."""
    return MARK + blake2s(f"{name}={value}".encode(), digest_size=6).hexdigest()


def scope(owner_id: int, *, kept: bool) -> str:
    """Whose gallery, or whose trash, a term belongs to: nobody's words stand in another's way."""
    return f"{owner_id}" if kept else f"{owner_id}t"


def document(terms: Iterable[str], *, scope: str, vendor: str) -> str:
    """What is kept of an asset: for SQLite words for FTS5 to split, for PostgreSQL a tsvector without positions."""
    found = sorted(set(terms))
    if vendor == "postgresql":
        return " ".join(f"'{scope}:{term}'" for term in found)
    return " ".join([f"{MARK}{scope}", *found])


def query(facets: Iterable[str], asked: list[str], *, scope: str, vendor: str) -> str:
    """What a document must have: all the facets, all the words, of the last word at least the beginning.

    On SQLite a long beginning is cut; `unlisted_beginning` says what remains to be compared. The index takes a
    facet as its owner's own: where one is asked for, nothing is intersected with all that is his.
    """
    whole, beginning = [*facets, *asked[:-1]], asked[-1] if asked else ""
    if len(beginning) < SHORTEST_BEGINNING:
        whole, beginning = [*whole, *filter(None, [beginning])], ""
    if vendor == "postgresql":
        prefix = [f"'{scope}:{beginning}':*"] if beginning else []
        return " & ".join([*(f"'{scope}:{term}'" for term in whole), *prefix])
    own = [f"{MARK}{scope}{term.removeprefix(MARK)}" for term in whole if term.startswith(MARK)]
    anybodys = [term for term in whole if not term.startswith(MARK)]
    prefix = [f'"{beginning[:LONGEST_LISTED]}"*'] if beginning else []
    return " AND ".join([*(f'"{term}"' for term in (*(own or [f"{MARK}{scope}"]), *anybodys)), *prefix])


def unlisted_beginning(asked: list[str]) -> str:
    """The last word, where it is longer than FTS5's lists go; words stand behind a space in a document."""
    return asked[-1] if asked and len(asked[-1]) > LONGEST_LISTED else ""
