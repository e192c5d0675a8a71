"""F54: there is no room left where files travel, where they wait, and where everything is written down."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import connection

from accounts.models import Alert
from generation.models import Output
from generation.tests.running_studio import RunningStudio, wait_for
from generation.tests.torture import oracle
from generation.tests.torture.outputs import KEEPERS, ask_unfetched, deliveries, is_whole, lengthen
from generation.tests.torture.scene import IMAGE, Scene
from generation.tests.torture.surroundings import PROMPT, lacking
from generation.tests.torture.tcpfault import TcpFault, Toxic

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 1024**2
Mount = Callable[[Path, int], "Disk"]


class Disk:
    """A small disk of its own, mounted at a folder."""

    def __init__(self, folder: Path, mebibytes: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder))

    def grow(self, mebibytes: int) -> None:
        """From now on there is more room."""
        self._mount("-o", f"remount,size={mebibytes}m", str(self.folder))

    def unmount(self) -> None:
        """Whoever still uses it keeps it for himself."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def fill(self) -> Path:
        """Leave no byte of room; the file that takes it all."""
        path = self.folder / "filler"
        with path.open("ab", buffering=0) as file:
            for size in (MIB, 4096, 1):
                with suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
        return path

    def _mount(self, *words: str) -> None:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            lacking(f"this row needs the right to mount a tmpfs: {done.stderr}")


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Makes small disks, which are taken away in the end."""
    with ExitStack() as held:

        def mounted(folder: Path, mebibytes: int) -> Disk:
            disk = Disk(folder, mebibytes)
            held.callback(disk.unmount)
            return disk

        yield mounted


class TestADiskThatIsFull:
    @pytest.mark.row("F54")
    def test_where_files_travel_lets_the_large_ones_wait(self, scene: Scene, mount: Mount) -> None:
        prediction = ask_unfetched(scene)
        lengthen(scene, prediction, 6 * MIB)
        small = scene.ask("a hill")
        disk = mount(scene.folder / "tmp", 4)

        worker = scene.worker(lanes=KEEPERS)
        scene.wait(lambda: scene.status(small) == "succeeded")
        scene.wait(lambda: Alert.objects.filter(name="disk_full", over_at=None).exists())
        assert scene.told(prediction)["stage"] == "storing"
        scene.wait(lambda: not list(disk.folder.iterdir()))
        disk.grow(64)
        scene.settle(hurried=True)

        is_whole(scene, prediction)
        assert Alert.objects.get(name="disk_full").over_at and worker.state() in "RS"
        scene.note(oracle.check(scene))

    @pytest.mark.row("F54")
    def test_while_time_runs_out_closes_the_door_and_what_is_lost_is_said(self, scene: Scene, mount: Mount) -> None:
        prediction = ask_unfetched(scene)
        lengthen(scene, prediction, 6 * MIB)
        mount(scene.folder / "tmp", 4)
        scene.worker(lanes=KEEPERS)
        scene.wait(lambda: Output.objects.filter(error_code="disk_full").exists())

        scene.lapse(41 * 60)
        refused = scene.program.post(IMAGE, {"prompt": PROMPT})
        assert (refused.status_code, refused.json()["charged"]) == (503, "none")
        scene.lapse(20 * 60)
        scene.settle(hurried=True)

        row = scene.row(prediction)
        assert (row.status, row.error_code, row.cost_micros) == ("lost", "storage_unavailable", 39_000)
        assert Alert.objects.filter(name="output_lost", over_at=None).exists()
        scene.note(oracle.check(scene))

    @pytest.mark.row("F54")
    def test_where_files_wait_leaves_them_at_the_provider(
        self, spoiled_store: TcpFault, scene: Scene, mount: Mount
    ) -> None:
        prediction = ask_unfetched(scene)
        lengthen(scene, prediction, 6 * MIB)
        disk = mount(scene.folder / "spool", 4)
        with spoiled_store.spoiled(Toxic("refuse")):
            scene.worker(lanes=KEEPERS)
            scene.wait(lambda: Output.objects.filter(error_code__in=["disk_full", "storage_unavailable"]).exists())
            scene.wait(lambda: [path.name for path in disk.folder.iterdir()] in ([], ["host"]))
            assert (Output.objects.get().spool_host, scene.status(prediction)) == ("", "storing")
        scene.lapse(75)
        scene.settle(hurried=True)

        is_whole(scene, prediction)
        assert deliveries(scene, prediction) > 1
        scene.note(oracle.check(scene))


class TestADiskThatIsFullOfEverything:
    """Database (SQLite), logs, spool and files together on one small disk."""

    @pytest.mark.row("F54")
    @pytest.mark.timeout(300)
    def test_breaks_nothing_and_goes_on_when_there_is_room(self, tmp_path: Path, mount: Mount) -> None:
        disk = mount(tmp_path / "disk", 64)
        with RunningStudio(disk.folder, speed="instant") as studio:
            creator = Creator(studio)
            first = creator.ask()
            wait_for(lambda: creator.stage(first) == "succeeded", seconds=30, what=studio.log)

            filler = disk.fill()
            if connection.vendor == "sqlite":
                # Until what was set aside for the journal is used up too. PostgreSQL's disk is another one.
                answers = [creator.post().status_code for _ in range(30)]
                assert set(answers) <= {201, 503} and answers[-1] == 503
            assert requests.get(f"{studio.url}/healthz", timeout=10).status_code == 200
            assert all(process.poll() is None for process in studio.processes.values()), studio.log()
            filler.unlink()

            second = creator.ask()
            wait_for(lambda: creator.stage(second) == "succeeded", seconds=60, what=studio.log)
            assert creator.stage(first) == "succeeded"
            assert studio.manage("reconcile")
            assert creator.integrity() == "ok"


class Creator:
    """A creator's program at a studio of its own."""

    def __init__(self, studio: RunningStudio) -> None:
        self.studio = studio
        made = self.shell(
            "from django.utils import timezone; from accounts.models import User;"
            "from accounts.tokens import create_token;"
            "user = User.objects.create_user(username='creator', email='c@example.com', password='x' * 20);"
            "print(create_token(user=user, name='full', expires_at=None, now=timezone.now())[1])"
        )
        self.headers = {"Authorization": f"Bearer {made.split()[-1]}"}

    def shell(self, program: str) -> str:
        return self.studio.manage("shell", "--no-imports", "-c", program)

    def post(self) -> requests.Response:
        address = self.studio.url + IMAGE
        return requests.post(address, json={"prompt": "a lake"}, headers=self.headers, timeout=60)

    def ask(self) -> str:
        answer = self.post()
        assert answer.status_code == 201, answer.text
        return str(answer.json()["predictionId"])

    def stage(self, key: str) -> Any:
        return requests.get(f"{self.studio.url}/api/predictions/{key}", headers=self.headers, timeout=30).json()[
            "stage"
        ]

    def integrity(self) -> str:
        """What SQLite says of its file; PostgreSQL looks after itself."""
        if connection.vendor != "sqlite":
            return "ok"
        program = "from django.db import connection; c = connection.cursor(); c.execute('PRAGMA integrity_check');"
        return self.shell(program + "print(c.fetchone()[0])").split()[-1]
