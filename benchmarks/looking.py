"""Reads of a product's database that cost it next to nothing: what the benchmark waits for is seen at once."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.product import Product

# (statement with ? for each value, values) → the first row, or None.
Look = Callable[..., Any]


@contextmanager
def looking(product: Product, *, threads: bool = False) -> Iterator[Look]:
    """On a connection of its own, which `threads` may share as long as one at a time asks."""
    url = product.environment.get("DATABASE_URL", "")
    if url:
        with psycopg.connect(url, autocommit=True) as postgres:

            def in_postgres(statement: str, *values: Any) -> Any:
                return postgres.execute(statement.replace("?", "%s").encode(), values).fetchone()

            yield in_postgres
        return
    address = f"file:{product.folder / 'palette.sqlite3'}?mode=ro"
    lite = sqlite3.connect(address, uri=True, isolation_level=None, timeout=20, check_same_thread=not threads)

    def in_sqlite(statement: str, *values: Any) -> Any:
        kept = [value.hex if isinstance(value, UUID) else value for value in values]
        return lite.execute(statement, kept).fetchone()

    try:
        yield in_sqlite
    finally:
        lite.close()
