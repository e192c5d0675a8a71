"""Rules of our own over the source: what no linter knows, and what would open a door if it came in unnoticed.

A rule that something has to break names the place here, so that the next such place is a decision.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
APPS: Final = ("accounts", "gallery", "generation", "palette")
FILES: Final = [
    path
    for app in APPS
    for path in sorted((ROOT / app).rglob("*.py"))
    if "tests" not in path.parts and "sandbox" not in path.parts
]
TEMPLATES: Final = sorted((ROOT / "templates").rglob("*.html"))

# Modules that reach the network, and who may use them: each kind of call leaves by one door.
CLIENTS: Final = {"requests", "httpx", "aiohttp", "urllib3", "urllib.request", "http.client", "boto3", "replicate"}
DOORS: Final = {
    "gallery/fetcher.py",
    "gallery/storage.py",
    "generation/providers/replicate.py",
    "generation/providers/transport.py",
    "generation/webhooks/reach.py",  # knocks at PUBLIC_URL
    "palette/management/commands/studio.py",  # asks its own web process whether it is there
}
# What is compared there is no stranger's guess: a fingerprint of a request, and secrets that we hold both of.
NO_GUESS: Final = {"generation/lifecycle/asking.py", "generation/work/chores.py"}
# Runs the program of the decoding children, read from our own file, in a fork of its own.
OWN_PROGRAM: Final = {"gallery/decoding.py"}
UNSAFE: Final = {"pickle", "cPickle", "marshal", "shelve", "dill", "yaml", "xml.etree.ElementTree", "xml.dom.minidom"}
SECRET: Final = re.compile(r"(signature|digest|password|secret|hmac)\b|(?<!csrf)(?:^|_)token$")

# What opens something at Replicate, here, at a store or in a repository.
KEY: Final = re.compile(
    r"\b(?:r8_\w{30,}|whsec_[\w+/=]{24,}|dp_[\w-]{40,}|AKIA[0-9A-Z]{16}|gh[pousr]_\w{30,}|sk-\w{30,})"
    r"|\beyJ[\w-]{20,}\.[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
# Of documents and of tests: they open nothing.
NOBODYS: Final = {
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD/=",
    "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "r8_canaryCanaryCanaryCanaryCanaryCanary01",
}
PICTURES: Final = {".webp", ".png", ".jpg", ".ico", ".woff", ".woff2", ".pyc"}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def at(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every module that is imported, wherever."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call by the last part of its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield name, node


def test_finds_the_source() -> None:
    assert len(FILES) > 150
    assert len(TEMPLATES) > 60


def test_the_network_is_reached_by_few_doors() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in FILES
        for name, _ in imports(parsed(path))
        if any(name == client or name.startswith(f"{client}.") for client in CLIENTS)
        and not name.startswith("requests.exc")
    }

    assert found == DOORS


def test_nothing_is_unpickled_evaluated_or_parsed_by_what_can_be_tricked() -> None:
    found = [at(path, node) for path in FILES for name, node in imports(parsed(path)) if name in UNSAFE]
    found += [
        at(path, node)
        for path in FILES
        for name, node in calls(parsed(path))
        if name in {"eval", "exec", "compile"}
        and isinstance(node.func, ast.Name)
        and str(path.relative_to(ROOT)) not in OWN_PROGRAM
    ]

    assert found == []


def test_secrets_are_compared_in_constant_time() -> None:
    def named(node: ast.expr) -> bool:
        return bool(SECRET.search(getattr(node, "attr", getattr(node, "id", ""))))

    found = [
        at(path, node)
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Compare)
        and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
        and any(named(side) for side in (node.left, *node.comparators))
        and not any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators))
        and str(path.relative_to(ROOT)) not in NO_GUESS
    ]

    assert found == []


def test_one_view_goes_without_a_csrf_token() -> None:
    found = {
        str(path.relative_to(ROOT)) for path in FILES if re.search(r"@csrf_exempt|csrf_exempt\(", path.read_text())
    }

    assert found == {"generation/webhooks/view.py"}


@pytest.mark.parametrize("word", ["mark_safe", "html_safe", "SafeData"])
def test_no_data_is_called_safe_in_code(word: str) -> None:
    named = [(path, name, node) for path in FILES for names in (imports, calls) for name, node in names(parsed(path))]
    found = {at(path, node) for path, name, node in named if name.endswith(word)}
    reviewed = {"accounts/templatetags/studio.py"}

    assert {place for place in found if place.partition(":")[0] not in reviewed} == set()


def test_only_constants_are_safe_as_they_are() -> None:
    made = [(path, node) for path in FILES for name, node in calls(parsed(path)) if name == "SafeString"]
    found = [at(path, node) for path, node in made if not all(isinstance(one, ast.Constant) for one in node.args)]

    assert made
    assert found == []


def test_no_template_lets_data_through_unescaped() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {hit}"
        for path in TEMPLATES
        for hit in re.findall(r"\|\s*safe\b|\{%\s*autoescape off|\|\s*safeseq", path.read_text())
    ]

    assert found == []


def test_no_template_has_what_the_policy_stops() -> None:
    inline = re.compile(
        r"<script(?![^>]*\b(?:src=|type=\"application/json\"))|<style|\sstyle=|\son[a-z]+=|javascript:", re.I
    )
    found = [f"{path.relative_to(ROOT)}: {hit}" for path in TEMPLATES for hit in inline.findall(path.read_text())]

    assert found == []


def test_forms_and_serializers_name_their_fields() -> None:
    found = [
        at(path, node)
        for path in FILES
        if "admin" not in path.name
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and node.name == "Meta"
        for line in node.body
        if isinstance(line, ast.Assign)
        and (getattr(line.targets[0], "id", "") == "exclude" or "__all__" in ast.unparse(line.value))
    ]

    assert found == []


def test_no_file_holds_a_key() -> None:
    folders = [ROOT / name for name in (*APPS, "benchmarks", "docs", "templates", "static")]
    within = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    texts = [path for path in (*ROOT.glob("*.*"), *within) if path.is_file() and path.suffix not in PICTURES]

    found = {
        (str(path.relative_to(ROOT)), key)
        for path in texts
        for key in KEY.findall(path.read_text(errors="replace"))
        if key not in NOBODYS
    }

    assert len(texts) > 500
    assert found == set()


def test_every_process_that_is_started_is_given_a_list_of_words() -> None:
    found = [
        at(path, node)
        for path in FILES
        for name, node in calls(parsed(path))
        if name in {"run", "Popen", "call", "check_output", "create_subprocess_shell", "system", "popen"}
        and (
            name in {"create_subprocess_shell", "system", "popen"} or any(word.arg == "shell" for word in node.keywords)
        )
    ]

    assert found == []
