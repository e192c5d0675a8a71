"""F37 and F38: what the provider names or sends is meant to hurt."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from generation.models import Prediction
from generation.tests.torture import oracle
from generation.tests.torture.outputs import MANY, ask_spoiled, deliveries, is_lost
from generation.tests.torture.scene import Scene
from generation.tests.torture.surroundings import Process

pytestmark = pytest.mark.django_db(transaction=True)
GIB = 1024**3
# What a worker may take more while it fetches a file of any size.
MOST_MEMORY_BYTES = 96 * 1024**2


class Listener:
    """Listens on every address of this machine, IPv4 and IPv6, and counts who connects."""

    def __init__(self) -> None:
        self.hits = 0
        self.server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                self.hits += 1
                connection.close()


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener that is heard to count, and then must count nothing more."""
    listener = Listener()
    try:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as probe:
                probe.connect((address, listener.port))
        while listener.hits < 2:
            pass
        listener.hits = 0
        yield listener
    finally:
        listener.server.close()


class TestARedirect:
    # With a port: those that this machine would answer. A listed host is kept out by its address alone.
    HERE = """
        127.0.0.1 127.1 127.0.1 127.8.8.8 0x7f000001 2130706433 017700000001 0177.0.0.1 0 0.0.0.0 localhost LOCALHOST
        localhost. [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [2002:7f00:1::]
        [64:ff9b::7f00:1] [fe80::1%25lo] user@127.0.0.1 replicate.delivery@127.0.0.1 127.0.0.1%2f
    """.split()  # noqa: SIM905  (a list of so many would be a screen long)
    ELSEWHERE = """
        http://169.254.169.254/latest/meta-data/ https://[::ffff:169.254.169.254]/ https://0xa9fea9fe/ file:///etc/passwd
        http://replicate.delivery/x.png https://replicate.delivery:22/ gopher://127.0.0.1/ data:image/png;base64,AAAA
    """.split()  # noqa: SIM905  (a list of so many would be a screen long)

    @pytest.mark.row("F37")
    def test_into_the_network_is_not_followed(self, scene: Scene) -> None:
        with listening() as listener:
            addresses = [f"{scheme}://{host}:{listener.port}/" for scheme in ("http", "https") for host in self.HERE]
            asked = [self.ask_redirected(scene, address) for address in [*addresses, *self.ELSEWHERE]]
            scene.worker(**MANY)
            scene.settle(hurried=True, seconds=90)
            assert listener.hits == 0

        for prediction in asked:
            is_lost(scene, prediction, "file_refused")
        scene.note(f"{len(asked)} spellings, 0 hits; {oracle.check(scene)}")

    @pytest.mark.row("F37")
    def test_to_a_listed_name_with_an_inner_address_is_not_followed(self, scene: Scene) -> None:
        names = [host for host in self.HERE if host.replace(".", "").isalnum() and host.isascii()]
        with listening() as listener:
            asked = [self.ask_redirected(scene, f"https://{host}:{listener.port}/") for host in names]
            listed = [*(f"{host.lower()}:{listener.port}" for host in names), scene.sandbox.url.partition("//")[2]]
            scene.worker(REPLICATE_OUTPUT_HOSTS=",".join(listed), **MANY)
            scene.settle(hurried=True)
            assert listener.hits == 0

        assert len(names) >= 12
        for prediction in asked:
            is_lost(scene, prediction, "file_refused")
        scene.note(oracle.check(scene))

    @pytest.mark.row("F37")
    def test_that_leads_round_and_round_is_left_after_three(self, scene: Scene) -> None:
        prediction = self.ask_redirected(scene, "{url}")

        scene.worker()
        scene.settle(hurried=True)

        is_lost(scene, prediction, "file_refused")
        assert deliveries(scene, prediction) == 4
        scene.note(oracle.check(scene))

    @pytest.mark.row("F37")
    def test_to_a_name_that_turns_reaches_neither_address_unchecked(self, scene: Scene, tmp_path: Path) -> None:
        (tmp_path / "sitecustomize.py").write_text(TURNING_NAME)
        seen = tmp_path / "seen"
        with listening() as listener:
            prediction = self.ask_redirected(scene, f"https://turning.test:{listener.port}/")
            listed = f"turning.test:{listener.port},{scene.sandbox.url.partition('//')[2]}"
            scene.worker(REPLICATE_OUTPUT_HOSTS=listed, PYTHONPATH=str(tmp_path), SEEN=str(seen))
            scene.settle(hurried=True)
            assert listener.hits == 0

        # Asked once a fetch: the first time it was public and connected to, the second time it was not.
        assert seen.read_text().split() == ["public", "93.184.215.14", "inner"]
        is_lost(scene, prediction, "file_refused")
        scene.note(oracle.check(scene))

    def ask_redirected(self, scene: Scene, address: str) -> Prediction:
        return ask_spoiled(scene, address, {"files": {"kind": "redirect", "location": address}})


class TestTenGibibytes:
    @pytest.mark.row("F38")
    def test_that_are_announced_are_not_begun(self, scene: Scene) -> None:
        prediction = ask_spoiled(scene, "huge", {"files": {"kind": "huge"}})

        worker = scene.worker()
        most, _ = watch(scene, worker)

        is_lost(scene, prediction, "file_too_large")
        assert deliveries(scene, prediction) == 1 and most < 1024**2
        scene.note(oracle.check(scene))

    @pytest.mark.row("F38")
    @pytest.mark.timeout(300)
    def test_that_are_not_announced_are_cut_at_two_and_leave_nothing(self, scene: Scene) -> None:
        """A file of any size travels through little memory, and there is a greatest size."""
        prediction = ask_spoiled(scene, "huge", {"files": {"kind": "huge", "declared": False}})

        worker = scene.worker()
        most, memory = watch(scene, worker)

        is_lost(scene, prediction, "file_too_large")
        assert GIB < most <= 2 * GIB and memory < MOST_MEMORY_BYTES
        scene.note(
            f"{most / GIB:.2f} GiB on disk at most, {memory / 1024**2:.0f} MiB more in memory; {oracle.check(scene)}"
        )


def watch(scene: Scene, worker: Process) -> tuple[int, int]:
    """Until all is over: the most bytes that lay in the scratch folder, and what the worker took more than before."""
    scene.wait(lambda: scene.sandbox.log("create"))
    before, most, memory = worker.memory_bytes(), 0, 0

    def over() -> bool:
        nonlocal most, memory
        most = max(most, sum(size(path) for path in (scene.folder / "tmp").rglob("*")))
        memory = max(memory, worker.memory_bytes() - before)
        return not scene.unsettled()

    scene.wait(over, seconds=240)
    return most, memory


def size(path: Path) -> int:
    """Of a file that may vanish; of what has vanished 0."""
    with suppress(FileNotFoundError):
        return path.stat().st_size if path.is_file() else 0
    return 0


# A worker's Python begins with this: the name server answers in turn, and nothing leaves the machine.
TURNING_NAME = """
import os, socket

ask, connect, answers = socket.getaddrinfo, socket.socket.connect, [("public", "93.184.215.14"), ("inner", "127.0.0.1")]

def note(word):
    with open(os.environ["SEEN"], "a") as file:
        file.write(word + "\\n")

def turning(host, port, *rest, **named):
    if host != "turning.test":
        return ask(host, port, *rest, **named)
    answers.append(answers.pop(0))
    note(answers[-1][0])
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers[-1][1], port))]

def guarded(self, address):
    if isinstance(address, tuple) and address[0] == "93.184.215.14":
        note(address[0])
        raise ConnectionRefusedError
    return connect(self, address)

socket.getaddrinfo, socket.socket.connect = turning, guarded
"""
