"""Every word that a page or a mail shows is marked for translation: nothing else is looked at by `makemessages`."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.template.base import Lexer, TokenType

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(
    path for path in (ROOT / "templates").rglob("*") if path.suffix in {".html", ".txt"} and "admin" not in path.parts
)
SAID = (
    *("aria-label", "placeholder", "title", "alt", "label", "data-l"),
    *("data-said", "data-refused", "data-said-live", "data-said-out", "data-said-poll", "data-said-many"),
    "data-said-none",
)
# The same in every language.
SAME = {"Directors Palette", "x", "s", "v", "replicate.com/account/api-tokens"}
# Blocks of class names.
CLASSES = ("block page_class", "block body_class")
# What is typed, pressed or run is no language.
HIDDEN = ("script", "style", "code", "kbd")
HOLE = " \x01 "
# Words in a script's string: a sentence, or whatever becomes text.
SENTENCE = (
    r"""["`][A-Z][^"`]* [^"`]*[.!?]["`]|(?:textContent|title) = "[^"]*[a-z]{2}[^"]*"|\? "[A-Z][a-z]+\"|\bsay\("[A-Z]"""
)

MODULES = sorted(
    [*ROOT.glob("*/web/*.py"), *(ROOT / "generation" / "catalog").glob("[a-z]*.py")]
    + [ROOT / "accounts" / f"{name}.py" for name in ("adapter", "notice_mail", "notices", "storage_room", "two_factor")]
    + [ROOT / "gallery" / f"{name}.py" for name in ("descriptions", "files", "organising", "renaming", "sharing")]
    + [ROOT / "generation" / f"{name}.py" for name in ("errors", "references", "work/places", "lifecycle/depth")]
)
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext"}
# Headers, and what Python itself writes.
NO_WORDS = {"Authorization", "Lax", "Location", "Range", "True", "False"}
# In Python: a sentence, or a label of a few words.
SAYING = re.compile(r"[A-Z“\x01].* .*[.!?]|[A-Z][a-z]+( [a-z]+)*", re.DOTALL)


class Words(HTMLParser):
    """Collects what is shown: text, and attributes that are read out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in HIDDEN
        self.found += [value for name, value in attrs if name in SAID and value]

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in HIDDEN

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.found.append(data)


def without_marked(text: str) -> Iterator[str]:
    """The template with a hole where a tag or a variable stands, and where something is marked."""
    inside = last = ""
    for token in Lexer(text).tokenize():
        word = token.contents.split()[0] if token.contents.split() else ""
        if token.token_type == TokenType.BLOCK and word.removeprefix("end") in ("blocktranslate", "comment"):
            inside = "" if word.startswith("end") else word
        if token.token_type != TokenType.TEXT:
            yield HOLE if token.token_type != TokenType.COMMENT else ""
        elif not inside:
            yield token.contents if last not in CLASSES else ""
        last = token.contents


def unmarked(text: str) -> list[str]:
    """The words of a template that nobody could translate."""
    words = Words()
    words.feed("".join(without_marked(text)))
    words.close()
    pieces = [" ".join(piece.split()) for said in words.found for piece in said.split(HOLE)]
    return [piece for piece in pieces if re.search(r"[^\W\d_]", piece) and piece.strip(" ·:,.()/…") not in SAME]


def unmarked_in_python(node: ast.AST) -> Iterator[str]:
    """The sentences and labels of a module that are no argument of a mark; docstrings and annotations are none."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Call(func=ast.Name(id=name)) if name in MARKS | {"TypeVar"}:
                continue
            case ast.Expr(value=ast.Constant()) | ast.AnnAssign(value=None):
                continue
            case ast.JoinedStr(values=values):
                said = "".join(str(one.value) if isinstance(one, ast.Constant) else "\x01" for one in values)
            case ast.Constant(value=str(said)) if not isinstance(node, ast.JoinedStr):
                pass
            case _:
                said = ""
        if SAYING.fullmatch(said) and re.search("[a-z]{2}", said) and said not in NO_WORDS:
            yield said
        yield from unmarked_in_python(child)


def test_every_word_of_the_templates_is_marked() -> None:
    found = {str(path.relative_to(ROOT)): unmarked(path.read_text()) for path in TEMPLATES}

    assert {path: words for path, words in found.items() if words} == {}


def test_scripts_say_only_what_the_page_gives_them() -> None:
    written = {path.name: re.findall(SENTENCE, path.read_text()) for path in (ROOT / "static" / "js").glob("*.js")}

    assert len(written) > 5
    assert {name: found for name, found in written.items() if found} == {}


def test_every_sentence_of_pages_modules_is_marked() -> None:
    found = {str(path.relative_to(ROOT)): list(unmarked_in_python(ast.parse(path.read_text()))) for path in MODULES}

    assert len(found) > 50
    assert {path: words for path, words in found.items() if words} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('say("Nothing is left.")', ["Nothing is left."]),
        ('say(f"{count} are left.")', ["\x01 are left."]),
        ('LABELS = {"day": "Spent today"}', ["Spent today"]),
        ('"""A docstring."""\nsay(gettext("Nothing is left.") % {"Retry-After": f"{day}.{month}"})', []),
    ],
)
def test_sentences_of_python_are_found(text: str, found: list[str]) -> None:
    assert list(unmarked_in_python(ast.parse(text))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<p>Words</p>", ["Words"]),
        ('<a aria-label="{{ a }} words" href="{% url "x" %}">{{ b }}</a>', ["words"]),
        ("{% translate 'Words' %}{# words #}<style>a b</style>{% comment %}words{% endcomment %}", []),
        ("{% blocktranslate %}Words <b>{{ a }}</b>{% endblocktranslate %}, more", [", more"]),
    ],
)
def test_words_are_found(text: str, found: list[str]) -> None:
    assert unmarked(text) == found
