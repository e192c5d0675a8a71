"""An owner's words, found again by what looks like them: "lkae" leads to "lake".

Of each word is kept what remains when one letter is taken out, and the whole. Two words that differ by a letter that
is wrong, missing, too much, or changed places with its neighbour have one of these in common; so one look into a plain
index finds what may have been meant, on every database and without an extension.
"""

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import ClassVar

from django.conf import settings
from django.db import connection, models

from accounts.models import User
from accounts.statements import Sql, read
from gallery import terms

SHORTEST, LONGEST = 4, 24
# Rows looked at in one search, for all its words.
MOST_LOOKED_AT = 500
# Under its first key: the word itself.
WHOLE = Sql('"word" = "key"')
KEPT = ' FROM "gallery_spelling" WHERE "owner_id" = %s AND "key" IN ({marks}) AND "word" = "key")'
KNOWN = {
    "postgresql": """(SELECT string_agg("word", ' ')""" + KEPT,
    "sqlite": """(SELECT group_concat("word", ' ')""" + KEPT,
}
USED = {
    "postgresql": "SELECT 1 FROM gallery_assetdocument WHERE terms @@ %s::tsquery LIMIT 1",
    "sqlite": "SELECT 1 FROM gallery_assetterms WHERE gallery_assetterms MATCH %s LIMIT 1",
}


class Spelling(models.Model):
    """A word that an owner's assets have or had, under one of its keys. Written with the documents of search."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="spellings")
    key = models.CharField(max_length=LONGEST)
    word = models.CharField(max_length=LONGEST)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "key", "word"], name="spelling_once")]

    def __str__(self) -> str:
        return f"{self.key} for {self.word}"


def keys(word: str) -> list[str]:
    """The word, and it without each of its letters in turn."""
    return [word, *dict.fromkeys(word[:place] + word[place + 1 :] for place in range(len(word)))]


def worth(words: Iterable[str]) -> set[str]:
    """Those that are kept: of a number or a very short word nobody can tell what was meant."""
    return {word for word in words if SHORTEST <= len(word) <= LONGEST and word.isalpha()}


def known(owner_id: int, words: Iterable[str]) -> Sql:
    """Which of the words are kept already, apart by spaces, to be asked with another statement; NULL for none."""
    wanted = sorted(worth(words))
    marks = ", ".join(["%s"] * len(wanted)) or "NULL"
    return Sql(KNOWN[connection.vendor].format(marks=marks), [owner_id, *wanted])


def learn(*, owner_id: int, words: Iterable[str], kept: Iterable[str] | None = None) -> None:
    """Keep the keys of words that are new; in one order, so that two writers do not wait for each other.

    `kept` are those that are not, where they were asked for.
    """
    wanted = worth(words)
    if kept is None:
        kept = [row.word for row in read(Spelling, {"owner": owner_id, "key": tuple(wanted)}, also=WHOLE)]
    new = sorted((key, word) for word in wanted.difference(kept) for key in keys(word))
    if not new:
        return
    Spelling.objects.bulk_create(
        [Spelling(owner_id=owner_id, key=key, word=word) for key, word in new], ignore_conflicts=True
    )


def forget(*, owner_id: int, words: Iterable[str]) -> None:
    """Drop those of the words that no document of the owner's has any more. For after a deletion, outside of it."""
    for word in sorted(worth(words)):
        if not any(_is_used(word, terms.scope(owner_id, kept=kept)) for kept in (True, False)):
            Spelling.objects.filter(owner_id=owner_id, key__in=keys(word), word=word).delete()


def _is_used(word: str, scope: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(USED[connection.vendor], [terms.query([word], [], scope=scope, vendor=connection.vendor)])
        return cursor.fetchone() is not None


def corrected(*, owner: User, q: str) -> str:
    """The search with each unknown word replaced by the owner's that is most like it; "" if nothing is to be replaced.

    One statement, and a bounded one.
    """
    asked = terms.words(q)[: terms.MOST_ASKED]
    looked_for = {key: None for word in asked if SHORTEST - 1 <= len(word) <= LONGEST for key in keys(word)}
    rows = Spelling.objects.filter(owner=owner, key__in=looked_for)
    like: dict[str, set[str]] = {}
    for key, word in rows.values_list("key", "word")[:MOST_LOOKED_AT]:
        like.setdefault(key, set()).add(word)
    meant = [_most_like(word, {found for key in keys(word) for found in like.get(key, ())}) for word in asked]
    return "" if meant == asked else " ".join(meant)


def _most_like(word: str, found: set[str]) -> str:
    """The word itself where it is known or nothing is like it."""
    if word in found or not found or len(word) < SHORTEST - 1:
        return word

    def likeness(other: str) -> tuple[bool, float, str]:
        return other[0] == word[0], SequenceMatcher(None, word, other, autojunk=False).ratio(), other

    return max(found, key=likeness)
