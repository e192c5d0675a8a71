"""Fifty programs ask at once where there is room for ten: ten get in, and forty are told which limit it was."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts import quotas
from accounts.models import ApiToken, LedgerEntry, QuotaPeriod, User
from accounts.tests.factories import hold
from accounts.tokens import create_token
from generation.models import Prediction
from generation.tests.making import BANANA, make_user
from generation.tests.torture.surroundings import Web, environment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PROGRAMS, ROOM = 50, 10
PRICE = 39_000
# Beyond the ten of a user's or a token's case; a case of the site fills it up beforehand.
SITE_MORE_BY_MONEY, SITE_MORE_BY_COUNT = 2, 3
BODY = json.dumps({"prompt": "a lake at dusk", "model": BANANA}).encode()
# Becomes one process for each request, which connects and says so; at the signal (the end of the standard input)
# each sends its request and writes the answer into a file of its own.
PROGRAMS_IN_ONE = """
import json, os, socket, sys
port, folder, requests = int(sys.argv[1]), sys.argv[2], json.load(open(sys.argv[3]))
for number, request in enumerate(requests):
    if os.fork() == 0:
        server = socket.create_connection(("127.0.0.1", port))
        os.write(1, b".")
        sys.stdin.read()
        server.sendall(request.encode())
        with open(f"{folder}/{number}", "wb") as answer:
            while piece := server.recv(65536):
                answer.write(piece)
        os._exit(0)
for _ in requests:
    os.wait()
"""


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web server whose provider is another than the sandbox, so that the site has a budget; nobody works."""
    budget = {
        "SITE_DAILY_USD": str(Decimal(PRICE * (ROOM + SITE_MORE_BY_MONEY)) / 1_000_000),
        "SITE_MONTHLY_COUNT": str(ROOM + SITE_MORE_BY_COUNT),
        # A busy machine would else answer a few of them 503: no connection was free for ten seconds.
        "DB_POOL_SIZE": str(PROGRAMS),
    }
    folder = tmp_path_factory.mktemp("fifty")
    with Web(folder, environment(folder, "http://127.0.0.1:9", **budget)) as running:
        yield running


def token_of(user: User, **limits: int) -> str:
    row, token = create_token(user=user, name="fifty", expires_at=None, now=timezone.now())
    if limits:
        ApiToken.objects.filter(pk=row.pk).update(**limits)
    return token


def request_with(token: str) -> str:
    head = [
        "POST /api/generation/image HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
        "Connection: close",
    ]
    return "\r\n".join([*head, "", BODY.decode()])


def ask_at_once(web: Web, tokens: list[str], folder: Path) -> list[tuple[int, dict[str, Any]]]:
    """Status and body that each program got; all of them are connected before the first asks."""
    (requests := folder / "requests").write_text(
        json.dumps([request_with(tokens[number % len(tokens)]) for number in range(PROGRAMS)])
    )
    command = [sys.executable, "-I", "-S", "-c", PROGRAMS_IN_ONE, str(web.port), str(folder), str(requests)]
    programs = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert programs.stdout is not None and len(programs.stdout.read(PROGRAMS)) == PROGRAMS
        programs.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(programs.pid, signal.SIGKILL)
        programs.wait()
    return [answer_in(folder / str(number)) for number in range(PROGRAMS)]


def answer_in(file: Path) -> tuple[int, dict[str, Any]]:
    head, _, body = file.read_bytes().partition(b"\r\n\r\n")
    if b"application/problem+json" in head:
        assert b"retry-after:" in head.lower()
    return int(head.split(b" ")[1]), json.loads(body)


def ten_get_in(web: Web, tokens: list[str], folder: Path, *, status: int, says: str) -> None:
    """Ten 201, forty refusals that name the limit, and books that agree."""
    before = LedgerEntry.objects.count()

    answers = ask_at_once(web, tokens, folder)

    refused = [body for answered, body in answers if answered != 201]
    assert [answered for answered, _ in answers].count(201) == ROOM, answers
    assert {body["status"] for body in refused} == {status}, refused
    assert {body["charged"] for body in refused} == {"none"}
    assert all(says in body["detail"] for body in refused), refused[0]
    assert Prediction.objects.count() == LedgerEntry.objects.count() - before == ROOM
    assert quotas.recompute(now=timezone.now()) == []


def fill(count: int, micros: int) -> None:
    """Reservations of somebody else's."""
    somebody = make_user(username="somebody")
    for _ in range(count):
        hold(somebody, micros, now=timezone.now())


class TestFiftyAgainstRoomForTen:
    def test_of_a_user_s_count(self, web: Web, tmp_path: Path) -> None:
        user = make_user(daily_count_limit=ROOM)

        ten_get_in(
            web, [token_of(user), token_of(user)], tmp_path, status=429, says="Your limit of 10 generations a day"
        )

    def test_of_a_user_s_money(self, web: Web, tmp_path: Path) -> None:
        user = make_user(monthly_micros_limit=ROOM * PRICE + PRICE - 1)

        ten_get_in(web, [token_of(user), token_of(user)], tmp_path, status=402, says="Your limit of $0.428999 a month")

    def test_of_a_token_s_count(self, web: Web, tmp_path: Path) -> None:
        token = token_of(make_user(), monthly_count_limit=ROOM)

        ten_get_in(web, [token], tmp_path, status=429, says="This token's limit of 10 generations a month")

    def test_of_a_token_s_money(self, web: Web, tmp_path: Path) -> None:
        token = token_of(make_user(), daily_micros_limit=ROOM * PRICE)

        ten_get_in(web, [token], tmp_path, status=402, says="This token's limit of $0.39 a day")

    def test_of_the_site_s_count(self, web: Web, tmp_path: Path) -> None:
        fill(SITE_MORE_BY_COUNT, 0)
        tokens = [token_of(make_user(username=f"user{number}")) for number in range(10)]

        ten_get_in(web, tokens, tmp_path, status=429, says="This site's limit of 13 generations a month")

    def test_of_the_site_s_money(self, web: Web, tmp_path: Path) -> None:
        fill(SITE_MORE_BY_MONEY, PRICE)
        tokens = [token_of(make_user(username=f"user{number}")) for number in range(10)]

        ten_get_in(web, tokens, tmp_path, status=402, says="This site's limit of $0.468 a day")
        assert QuotaPeriod.objects.get(scope="site", period="day").reserved_micros == 12 * PRICE
