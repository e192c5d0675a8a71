"""F52 and F53: Redis forgets, dies and comes back; bells get lost."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as client
import requests
from django.conf import settings

from accounts.models import CacheRow, User
from generation.live.tests.redis_server import RedisServer
from generation.models import Prediction
from generation.tests.rehearsal.creators import Creator, Page
from generation.tests.torture import oracle
from generation.tests.torture.scene import IMAGE, Scene
from generation.tests.torture.surroundings import PROMPT, lacking

pytestmark = pytest.mark.django_db(transaction=True)
# More wrong passwords in a row than anybody may try.
MANY_TRIES = 12


def started(folder: Path) -> Iterator[RedisServer]:
    """A server, and its end."""
    if shutil.which("redis-server") is None:
        lacking("redis-server is not installed")
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis(tmp_path: Path, scene: Scene) -> Iterator[RedisServer]:
    """The Redis of this row's processes, also where everything else is embedded."""
    for server in started(tmp_path / "redis"):
        scene.environment["REDIS_URL"] = server.url
        scene.web = scene.another_web()
        yield server


@pytest.fixture
def silent_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One that no web process listens to."""
    yield from started(tmp_path / "silent")


@pytest.fixture
def page(redis: RedisServer, scene: Scene) -> Iterator[Page]:
    """The creator's page, open all the while."""
    page = Page(Creator(scene, scene.user, seconds=1, first=0), patience=0.5)
    page.start()
    scene.wait(lambda: page.opened_at)
    yield page
    page.over.set()
    page.join(30)


def wrong_passwords(scene: Scene) -> list[bool]:
    """Whether each of many tries was looked at; the others were turned away unseen."""
    browser = requests.Session()
    address = f"{scene.web.url}/accounts/login/"
    browser.get(address, timeout=30)
    token = browser.cookies[settings.CSRF_COOKIE_NAME]
    form = {"login": "creator", "password": "wrong", "csrfmiddlewaretoken": token}
    return [looked_at(browser.post(address, data=form, timeout=30)) for _ in range(MANY_TRIES)]


def looked_at(answer: requests.Response) -> bool:
    """As the page says it."""
    return answer.status_code != 429 and not re.search("Too many", answer.text)


class TestRedis:
    @pytest.mark.row("F52")
    def test_that_forgets_dies_and_comes_back_takes_no_card_no_limit_and_no_money_with_it(
        self, scene: Scene, redis: RedisServer, page: Page
    ) -> None:
        User.objects.filter(pk=scene.user.pk).update(daily_count_limit=4)
        scene.worker()

        def makes_one(about: str) -> None:
            prediction = scene.ask(about)
            scene.wait(lambda: page.cards.get(f"prediction-{prediction.number}") == "succeeded", what=str(page.cards))

        makes_one("while it rings")
        assert True in (tries := wrong_passwords(scene))
        assert tries[-1] is False
        with client.Redis.from_url(redis.url) as connection:
            connection.flushall()
        makes_one("after it has forgotten")
        redis.kill()
        makes_one("while it is dead")
        # The count begins anew, in the database, and binds.
        assert wrong_passwords(scene)[-1] is False
        assert CacheRow.objects.exists()
        redis.start()
        makes_one("when it is back")
        answer = scene.program.post(IMAGE, {"prompt": f"one too many {PROMPT}"})

        assert (answer.status_code, answer.json()["code"]) == (429, "over_count")
        assert not page.ended.codes
        scene.settle()
        scene.note(oracle.check(scene))


class TestBells:
    @pytest.mark.row("F53")
    def test_half_of_which_are_lost_delay_cards_and_lose_none(
        self, scene: Scene, redis: RedisServer, silent_redis: RedisServer, page: Page
    ) -> None:
        scene.worker(lanes="submit,refresh,chores")
        scene.worker(lanes="deliver,store,derive,announce", REDIS_URL=silent_redis.url)

        asked = [scene.ask(f"number {n}") for n in range(8)]
        scene.settle()

        ends = {f"prediction-{row.number}": str(row.status) for row in Prediction.objects.all()}
        assert list(ends.values()) == ["succeeded"] * len(asked)
        scene.wait(lambda: ends.items() <= page.cards.items(), what=str(page.cards))
        assert not page.ended.codes
        scene.note(oracle.check(scene))
