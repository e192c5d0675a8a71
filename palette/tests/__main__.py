"""`make test`: the whole suite on the embedded default, and once more on the services that can be reached."""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from gallery.tests.s3server import s3_server
from palette.environment import VARIABLES
from palette.tests.selection import SERVICES_ONLY

CACHE = ".pytest_cache"
# At least two, as a test that waits does not stop all others, and not more than memory has room for.
CORES = min(max(2, os.cpu_count() or 1), 8)
STORE = tuple(name for name in VARIABLES if name.startswith("S3_"))
SERVICES = ("DATABASE_URL", "REDIS_URL", *STORE)


def main() -> int:
    """Exit code of `make test`; the arguments go to pytest.

    Both runs go on side by side, or one with twice as many hands, as tests wait half of their time; what the second
    says is shown in the end. On a busy machine a browser may then be late: where nothing else has failed, its tests
    are tried once more, alone.
    """
    missing = [sentence for sentence in (without_database(), without_redis()) if sentence]
    must = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    for sentence in missing:
        say(f"{sentence}: {'a failure with CI=true' if must else 'not run there'}")
    if missing and must:
        return 1
    with TemporaryFile() as output, ExitStack() as held:
        beside = None if len(missing) == 2 else OnServices(held, output)
        say("on SQLite, one machine, files")
        code = begin({}, "-o", f"cache_dir={CACHE}/sqlite", hands=CORES if beside else 2 * CORES).wait()
        codes = [beside.end() if beside else 0, once_more(code, {}, "-o", f"cache_dir={CACHE}/sqlite")]
        return next(filter(None, codes), 0)


class OnServices:
    """The tests on PostgreSQL, Redis as far as they answer, and an S3 store: the configured one, else one of our own.

    Those that use none of these have been shown by the other run, and are left out.
    """

    def __init__(self, held: ExitStack, output: IO[bytes]) -> None:
        reached = {"DATABASE_URL": without_database(), "REDIS_URL": without_redis()}
        self.services = {name: os.environ[name] for name, problem in reached.items() if not problem}
        store = {name: os.environ[name] for name in STORE if os.environ.get(name)}
        if not store:
            store = held.enter_context(s3_server()).variables
        self.output, self.environment = output, self.services | store
        self.words = (SERVICES_ONLY, "--no-loadscope-reorder", "-o", f"cache_dir={CACHE}/services")
        self.process = held.enter_context(begin(self.environment, *self.words, hands=CORES, output=output))

    def end(self) -> int:
        """Wait for it, show what it said; its exit code."""
        code = self.process.wait()
        say(f"on {', '.join(self.services)} and an S3 store, without those that use none of them")
        self.output.seek(0)
        shutil.copyfileobj(self.output, sys.stdout.buffer)
        sys.stdout.flush()
        code = once_more(code, self.environment, *self.words)
        return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else code


def once_more(code: int, services: dict[str, str], *words: str) -> int:
    """The exit code after browser tests that failed, and nothing else, were tried again with nothing beside them.

    What fails without a browser has failed: a race that shows itself once is there.
    """
    failed = (*words, "-n", "0", "--last-failed", "--last-failed-no-failures", "none")
    if code != pytest.ExitCode.TESTS_FAILED:
        return code
    others = begin(services, *failed, "-m", "not browser", "--collect-only", "-q").wait()
    if others != pytest.ExitCode.NO_TESTS_COLLECTED:
        return code
    say("in a browser that failed, once more and alone")
    return begin(services, *failed, "-m", "browser").wait() and code


def begin(
    services: dict[str, str], *words: str, hands: int = 0, output: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """pytest, with these services and no others, and with so many processes for the tests.

    Byte code is kept, whatever the caller prefers: the tests start hundreds of processes.
    """
    left_out = {*SERVICES, "PYTHONDONTWRITEBYTECODE"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out} | services
    command = [sys.executable, "-m", "pytest", "-n", str(hands), *sys.argv[1:], *words]
    return subprocess.Popen(command, env=environment, stdout=output, stderr=output)


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
