"""What is told to Sentry: the error, whatever stands around it, and no secret."""

from typing import Final

import pytest

from palette.logs import mask
from palette.reporting import masked

SECRET: Final = "abcdef0123456789"


@pytest.mark.parametrize(
    "line",
    [
        f'headers = {{"authorization": "Bearer {SECRET}"}}',
        f'url = "https://example.com/file?token={SECRET}"',
        f'authorization="{SECRET}" and more',
        f'post("https://user:{SECRET}@example.com/")',
    ],
)
def test_tells_the_error_without_the_secret_in_a_line_beside_it(line: str) -> None:
    event = {"exception": {"values": [{"value": "it broke", "stacktrace": {"frames": [{"context_line": line}]}}]}}

    told = masked(event, [])

    assert told["exception"]["values"][0]["value"] == "it broke"
    assert told["exception"]["values"][0]["stacktrace"]["frames"][0]["context_line"] == mask(line)
    assert SECRET not in str(told)


def test_knows_a_secret_by_its_name_and_by_its_value() -> None:
    event = {"request": {"headers": {"Authorization": SECRET, "Host": "own-word.example.com"}}, "extra": [1, None]}

    told = masked(event, ["own-word"])

    assert told == {"request": {"headers": {"Authorization": "***", "Host": "***.example.com"}}, "extra": [1, None]}
