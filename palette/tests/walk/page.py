"""What docs/operations.md tells an operator to type, and what stands in the files that it shows."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
BLOCK: Final = re.compile(r"<!-- walk: ([\w-]+) -->\n```\w+\n(.*?)```", re.DOTALL)
# What an operator fills in, so that the walk has to fill it in as well; everything else stays as the page has it.
FILLED_IN: Final = frozenset(
    {"PUBLIC_URL", "SECRET_KEY", "REPLICATE_API_TOKEN", "DATABASE_URL", "REDIS_URL", "METRICS_TOKEN", "EMAIL_URL"}
    | {"S3_ENDPOINT_URL", "S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_REGION"}
)
HOST: Final = "studio.example.com"


def blocks() -> dict[str, str]:
    """Each marked block by its name, in the order of the page."""
    return dict(BLOCK.findall((ROOT / "docs" / "operations.md").read_text()))


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """The environment of the page with `values` in place of what is an operator's own."""
    lines = []
    for line in text.splitlines():
        name, equals, given = line.partition("=")
        if equals and name in FILLED_IN:
            line = f"{name}={values[name]}{given[len(given.split()[0]) :]}"
        assert "…" not in line, f"the walk does not know what to fill in: {line}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def as_systemd_reads(text: str) -> dict[str, str]:
    """An EnvironmentFile: a comment has its own line, quotes around a value go away, nothing is expanded."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.partition("=") for line in lines if line and line[0] not in "#;"]
    return {name: re.sub(r'^(["\'])(.*)\1$', r"\2", value.strip()) for name, _, value in pairs}


def command_of(unit: str) -> str:
    """The ExecStart of a unit."""
    found = re.search(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    assert found is not None, unit
    return found[1]


def listens_at(unit: str) -> str:
    """The ListenStream of a socket's unit."""
    return unit.partition("ListenStream=")[2].split()[0]
