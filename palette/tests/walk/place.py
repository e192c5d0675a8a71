"""The machine of the walk: a folder in place of /srv/studio, free ports, and services that are gone afterwards."""

import os
import secrets
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from gallery.tests.s3server import S3Server
from generation.sandbox.running import RunningSandbox
from generation.tests.running_studio import answers
from palette.environment import VARIABLES
from palette.supervisor import killed_with
from palette.tests.ports import free_port, listener
from palette.tests.walk import page

ADMINISTRATOR: Final = "boss"
START_SECONDS: Final = 600.0
NGINX: Final = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/nginx; proxy_temp_path {folder}/nginx; fastcgi_temp_path {folder}/nginx;
    uwsgi_temp_path {folder}/nginx; scgi_temp_path {folder}/nginx;
    include {folder}/site.conf;
}}
"""


class Place:
    """Where the commands of the page run. `url` is the site's, `certificate` what a visitor trusts."""

    def __init__(self, folder: Path, *, database: str, redis: str, store: S3Server, sandbox: RunningSandbox) -> None:
        self.folder, self.store, self.sandbox, self.database = folder, store, sandbox, database
        self.home, self.certificate, self.password = folder / "studio", folder / "site.pem", secrets.token_urlsafe(12)
        self.https = free_port()
        # As systemd's own: it outlives the processes that take from it.
        self.socket = listener()
        self.url = f"https://localhost:{self.https}"
        self.blocks = page.blocks()
        self.units: dict[str, subprocess.Popen[bytes]] = {}
        self.seen: list[tuple[str, str, float]] = []
        self.values = {
            "PUBLIC_URL": self.url,
            "SECRET_KEY": secrets.token_urlsafe(64),
            "REPLICATE_API_TOKEN": f"r8_{secrets.token_hex(18)}",
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "METRICS_TOKEN": secrets.token_urlsafe(64),
            "EMAIL_URL": "",
            "S3_REGION": "us-east-1",
            **store.variables,
        }
        foreign = ("PYTHON", "DJANGO", "VIRTUAL_ENV", "MAKE", "MFLAGS", "AWS_", *VARIABLES)
        # A login's environment: nothing of the product's, no virtual environment.
        self.login = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.home.mkdir()

    def here(self, text: str) -> str:
        """What the page says, with this place's folder, repository, name and ports."""
        said = {
            "/srv/studio": str(self.home),
            "<this repository>": str(page.ROOT),
            "apt-get install -y": "apt-get install --simulate --quiet=2",
            "useradd ": ": useradd ",
            "manage.py createsuperuser": "manage.py createsuperuser --no-input",
            f"server_name {page.HOST};": f"server_name localhost; listen {self.https} ssl; "
            f"ssl_certificate {self.certificate}; ssl_certificate_key {self.folder}/site.key;",
            page.HOST: f"localhost:{self.https}",
            page.listens_at(self.blocks["socket"]): f"127.0.0.1:{self.socket.getsockname()[1]}",
            "/var/log/nginx": str(self.folder),
        }
        for theirs, ours in said.items():
            text = text.replace(theirs, ours)
        return text

    def note(self, step: str, seen: str, began: float) -> None:
        """A line of the report, on the screen at once."""
        self.seen.append((step, seen, time.monotonic() - began))
        print(f"{step}: {seen}", flush=True)  # noqa: T201 - the walk is a program

    def run(self, name: str) -> str:
        """The commands of one block, in one shell that ends with the first failure; what they printed."""
        began, script = time.monotonic(), self.here(self.blocks[name])
        own = {
            "CURL_CA_BUNDLE": str(self.certificate),
            "DJANGO_SUPERUSER_USERNAME": ADMINISTRATOR,
            "DJANGO_SUPERUSER_EMAIL": f"{ADMINISTRATOR}@example.com",
            "DJANGO_SUPERUSER_PASSWORD": self.password,
        }
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            cwd=self.home,
            env=self.login | own,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{name}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        count = sum(1 for line in script.splitlines() if line and line[0] not in "#:")
        self.note(name, f"{count} commands, all with exit status 0", began)
        return done.stdout

    def write_environment(self) -> None:
        """Step 3. Where the provider is, the page need not say: it is Replicate."""
        place = self.home / "env"
        place.touch(mode=0o600)
        text = self.here(page.filled_in(self.blocks["environment"], self.values))
        place.write_text(f"{text}REPLICATE_BASE_URL={self.sandbox.url}\n")
        self.note("environment", f"{len(page.as_systemd_reads(text))} variables", time.monotonic())

    def start_unit(self, name: str) -> None:
        """As systemd does for `studio-web@1`, `studio-worker@2` and so on: the socket is descriptor 3."""
        command = self.here(page.command_of(self.blocks[name.partition("@")[0]]))
        held = self.socket.fileno()
        named = page.as_systemd_reads((self.home / "env").read_text())
        with (self.folder / f"{name}.log").open("ab") as log:
            self.units[name] = subprocess.Popen(
                ["bash", "-c", f'exec "$@" 3<&{held}', name, *shlex.split(command)],
                cwd=self.home / "app",
                env=self.login | named,
                stdout=log,
                stderr=log,
                pass_fds=[held],
                preexec_fn=killed_with(os.getpid()),
            )

    def restart(self, *names: str) -> None:
        """One after the other, the next when one answers; all of them without names."""
        for name in names or ("web@1", "web@2", "worker@1", "worker@2"):
            self.stop(name)
            self.start_unit(name)
            if name.startswith("web"):
                wait_until_answers("http://{}:{}/healthz".format(*self.socket.getsockname()), self.units[name])

    def stop(self, *names: str) -> None:
        """As systemd does: SIGTERM, thirty seconds."""
        processes = {name: self.units.pop(name) for name in names or tuple(self.units) if name in self.units}
        for process in processes.values():
            process.terminate()
        for name, process in processes.items():
            assert process.wait(timeout=START_SECONDS) is not None, name

    @contextmanager
    def proxied(self) -> Iterator[None]:
        """Step 6: nginx with the page's configuration, the certificate in it as certbot puts it there."""
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
        keys = ["-keyout", str(self.folder / "site.key"), "-out", str(self.certificate)]
        openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *keys, *subject]
        subprocess.run(openssl, check=True, capture_output=True)
        (self.folder / "site.conf").write_text(self.here(self.blocks["proxy"]))
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=self.folder))
        with (self.folder / "nginx.log").open("ab") as log, ExitStack() as held:
            process = subprocess.Popen(["nginx", "-c", str(self.folder / "nginx.conf")], stdout=log, stderr=log)
            held.callback(process.wait)
            held.callback(process.terminate)
            yield


def wait_until_answers(address: str, process: subprocess.Popen[bytes]) -> None:
    """Until a GET is answered with 200; fails when the process has ended or it takes too long."""
    ends_at = time.monotonic() + START_SECONDS
    while not answers(address):
        assert process.poll() is None, f"a process ended with {process.returncode}"
        assert time.monotonic() < ends_at, f"{address} does not answer"
        time.sleep(0.1)
