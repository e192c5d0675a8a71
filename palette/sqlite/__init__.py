"""A database backend: Django's own for SQLite, with another way to wait for the one writer."""
