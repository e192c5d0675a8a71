"""Where a benchmark runs: on SQLite with files, or on PostgreSQL with Redis and a real S3 server."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.processes import ROOT, procfile, surroundings
from gallery.tests.s3server import s3_server


@dataclass
class Place:
    """`variables` lead to its services; `quick` asks for few rounds; `folder` is gone afterwards."""

    where: str
    folder: Path
    quick: bool
    variables: Mapping[str, str] = field(default_factory=dict)
    made: int = 0

    def rounds(self, *, full: int, quick: int) -> int:
        """How many this time."""
        return quick if self.quick else full

    def new(self, name: str) -> tuple[Path, dict[str, str]]:
        """A data folder and a migrated database of its own for the next product, as copies of `empty`."""
        self.made += 1
        folder, (empty, _) = self.folder / f"{name}-{self.made}", self.empty
        shutil.copytree(empty, folder)
        variables = dict(self.variables) | {"DATA_DIR": str(folder)}
        if url := self.variables.get("DATABASE_URL"):
            variables["DATABASE_URL"] = new_database(url, "bench_run", template=database(url, "bench_empty"))
        return folder, variables

    @contextmanager
    def store(self) -> Iterator[dict[str, str]]:
        """Variables of an S3 server: this place's own, or one for as long as the context lasts."""
        if "S3_BUCKET" in self.variables:
            yield {}
        else:
            with s3_server() as server:
                yield server.variables

    @cached_property
    def empty(self) -> tuple[Path, dict[str, str]]:
        """What `release` makes, once for all products of this place."""
        folder = self.folder / "empty"
        folder.mkdir()
        variables = dict(self.variables) | {"DATA_DIR": str(folder)}
        if url := self.variables.get("DATABASE_URL"):
            variables["DATABASE_URL"] = new_database(url, "bench_empty")
        release = ["sh", "-c", procfile()["release"]]
        subprocess.run(release, cwd=ROOT, env=surroundings() | variables, check=True, capture_output=True)
        return folder, variables


@contextmanager
def places(*, quick: bool, only: str = "") -> Iterator[list[Place]]:
    """SQLite, and PostgreSQL with Redis and S3 where `DATABASE_URL` and `REDIS_URL` lead to them."""
    with ExitStack() as held:
        found = []
        for where in ("sqlite", "services"):
            variables = reachable_services() if where == "services" else {}
            if only not in {"", where} or (where == "services" and not variables):
                continue
            if where == "services":
                variables |= held.enter_context(s3_server()).variables
                held.callback(drop_databases, variables["DATABASE_URL"])
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=f"palette-bench-{where}-")))
            found.append(Place(where, folder, quick, variables))
        yield found


def reachable_services() -> dict[str, str]:
    """PostgreSQL and Redis, when the environment names both and the database answers."""
    url, redis_url = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")
    if not url.startswith("postgres") or not redis_url:
        return {}
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return {}
    return {"DATABASE_URL": url, "REDIS_URL": redis_url}


def database(url: str, suffix: str) -> str:
    """The name of a database beside the one that is named."""
    return f"{url.rpartition('/')[2].partition('?')[0]}_{suffix}"


def new_database(url: str, suffix: str, *, template: str = "template0") -> str:
    """Make it anew; returns its address."""
    name = database(url, suffix)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(make.format(sql.Identifier(name), sql.Identifier(template)))
    return f"{url.rpartition('/')[0]}/{name}"


def drop_databases(url: str) -> None:
    """Leave nothing behind."""
    with psycopg.connect(url, autocommit=True) as connection:
        for suffix in ("bench_run", "bench_empty"):
            name = sql.Identifier(database(url, suffix))
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
