"""From nothing to a running site, a backup, a restore, an upgrade and a new key: the page's commands, then a look."""

import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psycopg
import requests

from gallery.tests.s3server import s3_server
from generation.sandbox.running import RunningSandbox
from generation.tests.running_studio import scratch_database
from palette.tests.walk import page
from palette.tests.walk.place import ADMINISTRATOR, START_SECONDS, Place
from palette.tests.walk.visitor import Visitor

REPORT: Final = page.ROOT / "docs" / "reliability" / "walk.md"
PROGRAMS: Final = ("nginx", "openssl", "curl", "git", "pg_dump", "pg_restore", "rclone", "apt-get")
PASSWORD: Final = "a long walk at 7"
LEFT_OUT: Final = """
Put in place of an operator's own: a folder for `/srv/studio`, `localhost` and free ports for the host and its ports, a
PostgreSQL database, a Redis and an S3 server (SeaweedFS) of this machine for Supabase, the sandbox for Replicate.
`apt-get` only simulates; the units' lines are started as they stand, their environment is read as systemd reads it.

Not walked: `useradd`, systemd and `certbot` themselves (the certificate is self-signed), Supabase, a mail server, and
the rotation of other secrets than `SECRET_KEY`.
"""


def main() -> int:
    """Exit code of `make walk`."""
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    missing += [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        print(f"make walk needs {', '.join(missing)}", file=sys.stderr)  # noqa: T201 - a program
        return 2
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="walk-")))
        place = Place(
            folder,
            database=held.enter_context(scratch_database(os.environ["DATABASE_URL"])),
            redis=os.environ["REDIS_URL"],
            store=held.enter_context(s3_server()),
            sandbox=held.enter_context(RunningSandbox(folder / "sandbox", speed="fast")),
        )
        # The sandbox, which lives in this process, posts its webhooks to the site by https.
        os.environ["SSL_CERT_FILE"] = str(place.certificate)
        held.callback(place.stop)
        try:
            invitation = prepare(place)
            with place.proxied():
                use(place, invitation)
        except BaseException:
            print("\n".join(path.read_text(errors="replace")[-3000:] for path in folder.glob("*.log")))  # noqa: T201 - a program
            raise
        REPORT.write_text(report(place))
    return 0


def prepare(place: Place) -> str:
    """Steps 2 to 5; the link by which somebody may sign up."""
    place.run("machine")
    place.run("code")
    place.write_environment()
    said = place.run("prepare")
    found = re.search(rf"{place.url}/accounts/invitation/\S+", said)
    assert "no issues" in said, said
    assert found is not None, said
    began = time.monotonic()
    place.restart()
    place.note("systemd", "two web processes and two workers run by the lines of the units", began)
    return found[0]


def use(place: Place, invitation: str) -> None:
    """Steps 6 and 7, and what an operator does later."""
    began, boss = time.monotonic(), Visitor(place.url, place.certificate)
    while not answers(boss):
        assert time.monotonic() < began + START_SECONDS, "the proxy does not answer"
        time.sleep(0.1)
    place.note("proxy", "answers by https, `/metrics` with 404", began)
    said = place.run("look")
    assert said.count('"ok"') == 4, said

    began = time.monotonic()
    boss.sign_in(ADMINISTRATOR, place.password)
    secret = boss.set_two_factor_up(place.password)
    boss.get("/admin/health/")
    place.note("sign-in", "by the form; two-factor sign-in set up; `/admin/health/` opens", began)

    began = time.monotonic()
    picture = boss.make_picture("a lighthouse at dusk")
    content = boss.bytes_of(picture)
    cards = boss.hear()
    delivered = [entry for entry in place.sandbox.log("webhook") if entry.get("status") == 204]
    assert cards
    assert delivered
    seen = f"{len(content):,} bytes from the store, {len(delivered)} webhooks taken by https, its card on the socket"
    place.note("picture", seen, began)

    began = time.monotonic()
    Visitor(place.url, place.certificate).sign_up(invitation, "ines", PASSWORD)
    place.note("invitation", "its link signs somebody up", began)

    lose_everything_and_restore(place, boss, picture, content)
    upgrade(place)
    renew(place, boss, secret)
    units = {"socket", "web", "worker"}
    assert set(place.blocks) <= units | {step for step, *_ in place.seen}, "a block was not walked"


def answers(visitor: Visitor) -> bool:
    """Whether the proxy is up, and keeps the figures to itself."""
    try:
        return visitor.get("/metrics", status=404).status_code == 404
    except requests.ConnectionError:
        return False


def lose_everything_and_restore(place: Place, boss: Visitor, picture: dict[str, Any], content: bytes) -> None:
    """A backup, one more picture, and then neither tables nor objects."""
    place.run("backup")
    later = boss.make_picture("made after the backup")
    place.stop()
    with psycopg.connect(place.database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    client = place.store.client()
    for found in client.list_objects_v2(Bucket=place.store.bucket)["Contents"]:
        client.delete_object(Bucket=place.store.bucket, Key=found["Key"])

    said = place.run("restore")
    assert "WRONG" not in said, said
    began = time.monotonic()
    place.restart()
    assert boss.bytes_of(picture) == content
    boss.get(f"/gallery/{later['id']}/", status=404)
    boss.make_picture("made after the restore")
    seen = "tables and objects were gone; the picture is there again byte for byte, its owner still signed in"
    place.note("restored", seen, began)


def upgrade(place: Place) -> None:
    """New code under one process after the other, while somebody keeps asking."""
    place.run("upgrade")
    began = time.monotonic()
    with asking(place) as statuses:
        place.restart()
    assert set(statuses) == {200}, statuses
    place.note(
        "restarted", f"one after the other; {len(statuses)} pages asked for meanwhile, all answered with 200", began
    )


@contextmanager
def asking(place: Place) -> Iterator[list[int]]:
    """The statuses of a page that is asked for again and again meanwhile."""
    over, statuses, visitor = threading.Event(), list[int](), Visitor(place.url, place.certificate)

    def ask() -> None:
        while not over.wait(0.05):
            try:
                statuses.append(visitor.session.get(f"{place.url}/accounts/login/", timeout=60).status_code)
            except requests.RequestException:
                statuses.append(0)

    thread = threading.Thread(target=ask)
    thread.start()
    yield statuses
    over.set()
    thread.join()


def renew(place: Place, boss: Visitor, secret: str) -> None:
    """The three steps of a new SECRET_KEY, and a lost phone."""
    place.run("new-key")
    place.restart()
    place.run("renew")
    boss.get("/admin/health/")
    place.run("old-key")
    place.restart()
    began, again = time.monotonic(), Visitor(place.url, place.certificate)
    boss.get("/gallery/")
    again.sign_in(ADMINISTRATOR, place.password, secret=secret)
    again.get("/admin/health/")
    place.note(
        "new key", "sessions held while the old key was known and not after it; the same app's codes still work", began
    )


def report(place: Place) -> str:
    """docs/reliability/walk.md."""
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=page.ROOT, text=True).strip()
    with psycopg.connect(place.database) as connection:
        server = connection.info.server_version // 10_000
    head = (
        f"# The walk, last run\n\n`make walk` on {datetime.now(UTC):%Y-%m-%d} at {commit}, Python "
        f"{platform.python_version()}, PostgreSQL {server}, nginx: the commands of\n"
        "[operations](../operations.md) as they stand there, in a new clone with a new virtual environment.\n"
    )
    rows = "\n".join(f"| {step} | {seen} | {seconds:.0f} s |" for step, seen, seconds in place.seen)
    return f"{head}{LEFT_OUT}\n| step | seen | took |\n|---|---|---|\n{rows}\n"


if __name__ == "__main__":
    sys.exit(main())
