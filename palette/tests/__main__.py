"""`make test`: the whole suite on the embedded default, and once more on the services that can be reached."""

import os
import subprocess
import sys
from urllib.parse import urlsplit

import psycopg
import redis

from gallery.tests.s3server import s3_server
from palette.environment import VARIABLES

STORE = tuple(name for name in VARIABLES if name.startswith("S3_"))
SERVICES = ("DATABASE_URL", "REDIS_URL", *STORE)


def main() -> int:
    """Exit code of `make test`; the arguments go to pytest."""
    must = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    say("on SQLite, one machine, files")
    if code := run_suite({}):
        return code
    missing = [sentence for sentence in (without_database(), without_redis()) if sentence]
    for sentence in missing:
        say(f"{sentence}: {'a failure with CI=true' if must else 'not run there'}")
    if missing and must:
        return 1
    if len(missing) == 2:
        return 0
    return run_on_services()


def run_on_services() -> int:
    """PostgreSQL, Redis as far as they answer, and an S3 store: the configured one, else one of our own."""
    reached = {"DATABASE_URL": without_database(), "REDIS_URL": without_redis()}
    services = {name: os.environ[name] for name, problem in reached.items() if not problem}
    configured = {name: os.environ[name] for name in STORE if os.environ.get(name)}
    say(f"on {', '.join(services)} and an S3 store")
    if configured:
        return run_suite(services | configured)
    with s3_server() as server:
        started = {
            "S3_ENDPOINT_URL": server.endpoint_url,
            "S3_ACCESS_KEY_ID": server.access_key,
            "S3_SECRET_ACCESS_KEY": server.secret_key,
            "S3_BUCKET": server.bucket,
        }
        return run_suite(services | started)


def run_suite(services: dict[str, str]) -> int:
    """pytest, with these services and no others.

    Byte code is kept, whatever the caller prefers: the tests start hundreds of processes.
    """
    left_out = {*SERVICES, "PYTHONDONTWRITEBYTECODE"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out} | services
    return subprocess.run([sys.executable, "-m", "pytest", *sys.argv[1:]], env=environment, check=False).returncode


def without_database() -> str:
    """Why the tests cannot run on PostgreSQL; empty when they can."""
    url = os.environ.get("DATABASE_URL", "")
    if urlsplit(url).scheme not in {"postgres", "postgresql"}:
        return "DATABASE_URL names no PostgreSQL"
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error as error:
        return f"PostgreSQL does not answer ({str(error).strip()})"
    return ""


def without_redis() -> str:
    """Why the tests cannot run on Redis; empty when they can."""
    url = os.environ.get("REDIS_URL", "")
    if not url:
        return "REDIS_URL is not set"
    try:
        redis.Redis.from_url(url, socket_connect_timeout=5).ping()
    except (redis.RedisError, ValueError) as error:
        return f"Redis does not answer ({error})"
    return ""


def say(words: str) -> None:
    """A heading between the runs."""
    sys.stdout.write(f"== The tests, {words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
