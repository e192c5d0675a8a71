"""A database backend: Django's own for PostgreSQL, which also has statements read and planned once."""
