"""The product's settings as the tests use them: embedded, or on the services that the environment names."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from palette import addresses
from palette.environment import VARIABLES, BadSetting

# A test's surroundings are its own: of the caller's, only the services to run on are taken over.
SERVICES = {"DATABASE_URL", "REDIS_URL", *(name for name in VARIABLES if name.startswith("S3_"))}
for name in set(VARIABLES) - SERVICES:
    os.environ.pop(name, None)
# What one test process clears, no other has counted. The number is the last part of the address, of 16.
if os.environ.get("REDIS_URL") and (worker := os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) != "0":
    address = urlsplit(os.environ["REDIS_URL"])
    number = (int(address.path.strip("/") or 0) + int(worker)) % 16
    os.environ["REDIS_URL"] = address._replace(path=f"/{number}").geturl()
folder = Path(tempfile.mkdtemp(prefix="palette-tests-"))
atexit.register(shutil.rmtree, folder, ignore_errors=True)
os.environ["DATA_DIR"] = str(folder)
os.environ["LOG_LEVEL"] = "warning"

try:
    from palette.settings import *  # noqa: F403  (settings are what they are but for what follows)
    from palette.settings import CACHES, CHANNEL_LAYERS, DATABASES, PRODUCTION, REDIS_URL
except BadSetting as error:
    raise pytest.UsageError(str(error)) from None

assert not PRODUCTION
# Threads and processes of one test share the database, so SQLite's is a file.
if DATABASES["default"]["ENGINE"] == addresses.SQLITE:
    DATABASES["default"]["TEST"] = {"NAME": str(folder / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
# User 1 of one test process is not user 1 of the other.
if REDIS_URL:
    for cache in CACHES.values():
        cache["KEY_PREFIX"] = f"test-{os.getpid()}"
    CHANNEL_LAYERS["default"]["CONFIG"]["prefix"] = f"test-{os.getpid()}"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Nobody listens there; a test that wants webhooks says where.
WEBHOOK_ORIGIN = ""
# Static files are looked for when they are asked for, not all of them for each client of a test.
WHITENOISE_AUTOREFRESH = True
