"""Connections while a step waits for somebody else."""

from django.db import connection


def let_go() -> None:
    """Hand the database connection back before a call over the network: there are more threads than connections."""
    if connection.vendor != "sqlite" and not connection.in_atomic_block:
        connection.close()
