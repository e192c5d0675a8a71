"""No secret reaches a log line, in whichever form it comes."""

import json
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import AsyncClient, Client
from django.urls import reverse
from pytest_django import Settings

from accounts import log_context
from generation.tests.making import make_prediction
from generation.work import loop
from generation.work.lanes import Lane
from palette.logs import MOST_CHARACTERS, JsonFormatter, MaskingFormatter, mask


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("generation", logging.WARNING, __file__, 1, message, args, None)


class TestMask:
    @pytest.mark.parametrize(
        ("line", "secret"),
        [
            ("Authorization: Bearer abcdef.123", "abcdef.123"),
            ("{'Authorization': 'Token abcdef123'}", "abcdef123"),
            ("headers={b'authorization': b'Bearer abcdef123'}", "abcdef123"),
            ("used r8_AbCdEf0123456789 there", "AbCdEf0123456789"),
            ("secret whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD/=", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD/="),
            ("token dp_k3J9_s-8fjw02", "k3J9_s-8fjw02"),
            ("GET https://s3.example.com/b/k.png?X-Amz-Date=1&X-Amz-Signature=abcdef123", "abcdef123"),
            ("GET https://s3.example.com/b/k.png?X-Amz-Date=1&X-Amz-Signature=abcdef123", "X-Amz-Date=1"),
            ("POST /api/webhooks/replicate?prediction=1&attempt=2&token=abcdef123", "abcdef123"),
            ("Invalid HTTP_HOST header: 'a?b?c=1&X-Amz-Signature=abcdef123'", "abcdef123"),
            ("GET /login?next=/files?a=1&token=abcdef123", "abcdef123"),
            ("postgres://studio:abcdef123@db/studio", "abcdef123"),
        ],
    )
    def test_hides(self, line: str, secret: str) -> None:
        assert secret not in mask(line)

    @pytest.mark.parametrize(
        "line",
        [
            "GET https://api.replicate.com/v1/predictions?cursor=abc took 0.2 s",
            "prediction 018f-7 went from queued to starting",
            "tokens left: 12",
        ],
    )
    def test_leaves_ordinary_lines_alone(self, line: str) -> None:
        assert mask(line) == line

    @pytest.mark.parametrize(
        ("start", "repeated"),
        [
            ("", "?"),
            ("", "?x-amz-"),
            ("?", "x-amz-"),
            ("?x-amz-", "-"),
            ("?", "token."),
            ("authorization", " "),
            ("authorization:", " "),
            ("authorization: bearer", " "),
            ("", "authorization "),
            ("", "authorization:"),
            ("bearer", " "),
            ("", "bearer "),
            ("", "r8_"),
            ("", "://"),
            ("", "://a:"),
            ("://a:", "b"),
            ("://", "a"),
        ],
    )
    def test_takes_a_moment_for_the_worst_of_lines(self, start: str, repeated: str) -> None:
        line = start + repeated * (65_536 // len(repeated))
        began = time.process_time()

        mask(line)

        assert time.process_time() - began < 1

    def test_hides_configured_values_wherever_they_stand(self) -> None:
        assert mask("it said ca-nary-value", ["ca-nary-value"]) == "it said ***"


class TestFormatters:
    @pytest.mark.parametrize("formatter", [MaskingFormatter(), JsonFormatter()])
    def test_mask_arguments_and_tracebacks(self, formatter: logging.Formatter) -> None:
        entry = record("sent %s", "Authorization: Bearer abcdef123")
        try:
            raise ValueError("r8_abcdef123")
        except ValueError:
            entry.exc_info = sys.exc_info()

        line = formatter.format(entry)

        assert "abcdef123" not in line
        assert "ValueError" in line

    @pytest.mark.parametrize("formatter", [MaskingFormatter(), JsonFormatter()])
    def test_cut_what_is_too_long_and_no_secret_in_half(self, formatter: logging.Formatter) -> None:
        entry = record("%s postgres://studio:abcdef123@db", "x" * (MOST_CHARACTERS - 30))
        try:
            raise ValueError("at the end")
        except ValueError:
            entry.exc_info = sys.exc_info()

        line = formatter.format(entry)

        assert "more characters" in line
        assert "abcdef" not in line
        assert "at the end" in line

    def test_json_is_one_object_on_one_line(self) -> None:
        line = JsonFormatter(["ca-nary-value"]).format(record("first\nsecond %s", "ca-nary-value"))

        assert "\n" not in line
        assert json.loads(line) | {"time": ""} == {
            "time": "",
            "level": "warning",
            "logger": "generation",
            "message": "first\nsecond ***",
        }

    @pytest.mark.parametrize(
        "line", ["Not Found: /s/{}/", "Not Found: /s/{}/assets/1/file", "GET /assets/1/file?share={}&download=1"]
    )
    def test_masks_what_opens_a_share_link(self, line: str) -> None:
        token = "Zk3-x_0123456789abcdefghijklmnop"

        assert token not in JsonFormatter().format(record(line.format(token)))

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("account_invitation", ["Zk3-x_0123456789abcdefghijklmnop"]),
            ("account_reset_password_from_key", ["1", "d4x5y6-0123456789abcdef0123456789abcdef"]),
            ("account_confirm_email", ["MQ:1vP1Zs:0123456789_abcdefghijklmnopqrstuvwxyz-0123"]),
        ],
    )
    def test_masks_what_opens_an_account(self, name: str, words: list[str]) -> None:
        address = reverse(name, args=words)

        for line in (f"Not Found: {address}", f"Not Found: {unquote(address)}"):
            assert words[-1][-20:] not in JsonFormatter().format(record(line))


class Words(logging.Handler):
    """Keeps what a formatter makes of each record, as a console would show it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.said: list[dict[str, str]] = []

    def emit(self, entry: logging.LogRecord) -> None:
        self.said.append(json.loads(self.format(entry)))


@pytest.fixture
def said() -> Iterator[list[dict[str, str]]]:
    """What is logged meanwhile."""
    words = Words()
    logging.getLogger().addHandler(words)
    yield words.said
    logging.getLogger().removeHandler(words)


@pytest.mark.django_db
class TestIds:
    def test_of_a_request_stand_in_its_lines_and_in_its_answer(
        self, client: Client, said: list[dict[str, str]]
    ) -> None:
        first, second = client.get("/nothing"), client.get("/nothing-else")

        names = [response["X-Request-ID"] for response in (first, second)]
        assert len(set(names)) == 2
        assert [line["request"] for line in said if "Not Found" in line["message"]] == names

    async def test_are_told_apart_in_an_event_loop(self, async_client: AsyncClient, said: list[dict[str, str]]) -> None:
        response = await async_client.get("/nothing")

        assert [line["request"] for line in said if "Not Found" in line["message"]] == [response["X-Request-ID"]]

    def test_of_a_proxy_are_taken_over_and_of_a_stranger_not(self, client: Client, settings: Settings) -> None:
        settings.TRUSTED_PROXIES = ["10.0.0.1"]
        proxied = Client(headers={"x-request-id": "edge-0123456789"}, REMOTE_ADDR="10.0.0.1")

        assert proxied.get("/healthz")["X-Request-ID"] == "edge-0123456789"
        assert client.get("/healthz", headers={"x-request-id": "edge-0123456789"})["X-Request-ID"] != "edge-0123456789"
        strange = Client(headers={"x-request-id": "a b\tc" * 40}, REMOTE_ADDR="10.0.0.1")
        assert len(strange.get("/healthz")["X-Request-ID"]) == 32

    def test_of_a_prediction_stand_in_lines_about_it(self, client: Client, said: list[dict[str, str]]) -> None:
        prediction = make_prediction()

        def step(row: Any) -> None:
            raise RuntimeError

        loop.do(Lane("submit", lambda limit: [], step, 1), prediction)
        client.get(f"/api/predictions/{prediction.pk}")

        told = [line["prediction"] for line in said if "prediction" in line]
        assert told == [str(prediction.pk)] * 2
        assert log_context.named() == {}

    def test_stand_behind_a_line_of_text(self) -> None:
        with log_context.about("0190-1"):
            line = MaskingFormatter().format(record("stored"))

        assert line.endswith("stored [prediction=0190-1]")
