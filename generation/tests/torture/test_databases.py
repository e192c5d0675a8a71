"""F49 to F51: the database is away, dies at a COMMIT, is busy."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.db import connection

from accounts.models import User
from generation.models import Prediction
from generation.tests.torture import oracle
from generation.tests.torture.scene import IMAGE, Scene
from generation.tests.torture.surroundings import PROMPT
from generation.tests.torture.tcpfault import TcpFault, Toxic

pytestmark = pytest.mark.django_db(transaction=True)


class TestADatabaseThatIsAway:
    @pytest.mark.row("F49")
    def test_is_said_so_and_nothing_is_done_that_could_not_be_written_down(self, scene: Scene) -> None:
        self.take_away(scene, seconds=3)

    @pytest.mark.row("F49")
    def test_for_half_a_minute_loses_and_doubles_nothing(self, scene: Scene) -> None:
        self.take_away(scene, seconds=30)

    def take_away(self, scene: Scene, *, seconds: float) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "late", "seconds": 1}}, times=None)
        asked = [scene.ask(f"number {n}") for n in range(4)]
        if connection.vendor == "postgresql":
            self.cut(scene, seconds)
        else:
            self.lock(scene, seconds)
        scene.stop_workers()
        scene.let_leases_end()
        scene.worker()
        scene.settle_doubts(seconds=90)

        # Where the mark's own COMMIT was cut off nobody knows whether anything left: that is never sent again.
        ends = {(row.status, row.error_code) for row in map(scene.row, asked)}
        assert ends <= {("succeeded", ""), ("failed", "lost_in_sending")}
        assert scene.creates() == Prediction.objects.filter(status="succeeded").count()
        scene.note(oracle.check(scene, scratch=4))

    def cut(self, scene: Scene, seconds: float) -> None:
        with TcpFault(scene.environment["DATABASE_URL"]) as proxy:
            web = scene.another_web(DATABASE_URL=proxy.url)
            worker = scene.worker(DATABASE_URL=proxy.url, PUBLIC_URL=web.url)
            scene.wait(lambda: scene.sandbox.log("create"))
            with proxy.spoiled(Toxic("refuse")):
                answer = scene.program.post(IMAGE, {"prompt": f"lake {PROMPT}"}, web=web)
                assert answer.status_code == 503 and answer.headers["Retry-After"], answer.text
                assert "Traceback" not in answer.text
                time.sleep(seconds)
            assert worker.state() in "RS"
            scene.wait(lambda: scene.program.get("/api/usage", web=web).status_code == 200)
            scene.stop_workers()

    def lock(self, scene: Scene, seconds: float) -> None:
        worker = scene.worker()
        scene.wait(lambda: scene.sandbox.log("create"))
        rival = sqlite3.connect(str(connection.settings_dict["NAME"]), timeout=20, isolation_level=None)
        rival.execute("BEGIN EXCLUSIVE")
        began = threading.Event()

        def ask() -> requests.Response:
            began.set()
            return scene.program.post(IMAGE, {"prompt": f"lake {PROMPT}"}, key="while-locked")

        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask)
            began.wait()
            time.sleep(seconds)
            rival.rollback()
            rival.close()
            result = answer.result()
        assert result.status_code in {201, 503}, result.text
        assert result.status_code == 201 or result.headers["Retry-After"]
        assert worker.state() in "RS"


class TestACommit:
    @pytest.mark.row("F50")
    @pytest.mark.parametrize("forward", [True, False], ids=["committed", "not-committed"])
    def test_whose_outcome_nobody_heard_is_read_before_it_is_done_again(self, scene: Scene, forward: bool) -> None:
        if connection.vendor != "postgresql":
            # No wire to cut: the process dies on either side of the commit instead.
            place = "create.applied" if forward else "update.before_commit"
            # Its end cannot be heard by the web process before the answer to its create.
            scene.sandbox.add_fault({"seconds": {"run": 2}})
            prediction = scene.ask()
            scene.worker_that_dies(place)
        else:
            prediction = scene.ask()
            self.cut_at_commits(scene, forward)
        scene.let_leases_end()

        scene.worker()
        scene.settle_doubts()

        row = scene.row(prediction)
        assert (row.status, row.error_code, scene.creates()) in {
            ("succeeded", "", 1),
            ("failed", "lost_in_sending", 0),
        }
        scene.note(oracle.check(scene, scratch=1, orphans=1))

    def cut_at_commits(self, scene: Scene, forward: bool) -> None:
        """Three COMMITs of a worker are cut off, one after the other."""
        with TcpFault(scene.environment["DATABASE_URL"]) as proxy:
            worker = scene.worker(DATABASE_URL=proxy.url)
            scene.wait(lambda: proxy.connections > 0)
            toxic = Toxic("reset_peer", direction="up", when=b"COMMIT", forward=forward, times=3)
            proxy.poison(toxic)
            scene.wait(lambda: toxic.times == 0 or not scene.unsettled(), seconds=60)
            proxy.heal()
            worker.kill()
            scene.workers.remove(worker)


class TestManyWriters:
    @pytest.mark.row("F51")
    def test_against_room_for_ten_are_ten(self, scene: Scene) -> None:
        User.objects.filter(pk=scene.user.pk).update(daily_count_limit=10)
        scene.worker()
        gate = threading.Barrier(50)

        def ask(number: int) -> requests.Response:
            gate.wait()
            return scene.program.post(IMAGE, {"prompt": f"number {number} {PROMPT}"})

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(ask, range(50)))
        scene.accepted += [answer.json()["predictionId"] for answer in answers if answer.status_code == 201]
        scene.settle(seconds=90)

        assert sorted(answer.status_code for answer in answers) == [201] * 10 + [429] * 40
        assert {answer.json()["charged"] for answer in answers if answer.status_code == 429} == {"none"}
        scene.note(oracle.check(scene))

    @pytest.mark.row("F51")
    def test_wait_for_each_other_and_are_all_served(self, scene: Scene) -> None:
        scene.worker(MAX_IN_FLIGHT_PER_USER="50")
        scene.worker(MAX_IN_FLIGHT_PER_USER="50")
        gate = threading.Barrier(50)

        def ask(number: int) -> requests.Response:
            gate.wait()
            return scene.program.post(IMAGE, {"prompt": f"number {number} {PROMPT}"}, key=f"key-{number}")

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(ask, range(50)))
        made = [answer.json()["predictionId"] for answer in answers if answer.status_code == 201]
        scene.accepted += made
        scene.settle(seconds=90)

        assert {answer.status_code for answer in answers} <= {201, 503}
        assert len(made) == Prediction.objects.count() == scene.creates()
        assert len(made) >= 45, f"{50 - len(made)} of 50 were turned away"
        scene.note(f"{len(made)} of 50 at once; {oracle.check(scene)}")
