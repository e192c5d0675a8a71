"""A real S3 server for one run of the tests: SeaweedFS, from its wheel."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from palette.supervisor import killed_with

BUCKET = "palette-tests"
READY_WITHIN_SECONDS = 60.0


@contextmanager
def object_store(folder: Path) -> Iterator[dict[str, str]]:
    """Run a server that keeps its data in `folder`; yields the S3_ variables that lead to its bucket."""
    key, secret = secrets.token_hex(8), secrets.token_hex(16)
    configuration = folder / "s3.json"
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    configuration.write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, s3 = (str(port) for port in free_ports(4))
    command = [str(Path(sys.executable).with_name("weed")), "server", f"-dir={folder}", "-ip=127.0.0.1"]
    command += [f"-master.port={master}", f"-volume.port={volume}", "-volume.max=20", "-master.volumeSizeLimitMB=256"]
    command += ["-filer", f"-filer.port={filer}", "-s3", f"-s3.port={s3}", f"-s3.config={configuration}"]
    tie = killed_with(os.getpid())
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, preexec_fn=tie
        )
    try:
        variables = {
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
            "S3_BUCKET": BUCKET,
            "S3_ACCESS_KEY_ID": key,
            "S3_SECRET_ACCESS_KEY": secret,
        }
        make_bucket(variables)
        yield variables
    finally:
        process.kill()  # nothing in it is to be kept, and its orderly end takes ten seconds
        process.wait()


def make_bucket(variables: dict[str, str]) -> None:
    """Create the bucket as soon as the server does what it is asked; raises TimeoutError."""
    client = boto3.client(
        "s3",
        endpoint_url=variables["S3_ENDPOINT_URL"],
        aws_access_key_id=variables["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["S3_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    until = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
            return
        except client.exceptions.BucketAlreadyOwnedByYou:
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
            return
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > until:
                raise TimeoutError("the S3 server of the tests does not answer") from error
            time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, whose gRPC companions (10,000 higher) exist too."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            probe = held.enter_context(socket.socket())
            companion = held.enter_context(socket.socket())
            port = 20000 + secrets.randbelow(12000)
            try:
                probe.bind(("127.0.0.1", port))
                companion.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            found.append(port)
    return found


if __name__ == "__main__":  # for trying by hand: prints what to export and serves until Ctrl-C
    place = Path(os.environ.get("DATA_DIR", "var")) / "object-store"
    place.mkdir(parents=True, exist_ok=True)
    with object_store(place) as exports:
        print("\n".join(f"export {name}={value}" for name, value in exports.items()))  # noqa: T201
        time.sleep(10**9)
