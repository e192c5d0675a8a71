"""Who is in the story, and what the sandbox does with some of their prompts; needs no Django."""

from typing import Final

CREATOR: Final = "demo-ines"
NEWCOMER: Final = "newcomer"
ADMINISTRATOR: Final = "root"
PASSWORD: Final = "a long walk at 7"
# For the sandbox: how each of those goes.
RULES: Final = (
    {"match": {"prompt_contains": "night market"}, "fault": {"outcome": {"status": "failed", "error": "(E1001)"}}},
    {"match": {"prompt_contains": "boxers"}, "fault": {"outcome": {"status": "failed", "error": "(E005)"}}},
    {"match": {"prompt_contains": "Rope and tar"}, "fault": {"seconds": {"queue": 1, "run": 900}}},
    {"match": {"prompt_contains": "slow push"}, "fault": {"seconds": {"queue": 1, "run": 300}}},
    {"match": {"prompt_contains": "red tram"}, "fault": {"seconds": {"queue": 1, "run": 600}}},
    {"match": {"prompt_contains": "train window"}, "fault": {"seconds": {"queue": 1, "run": 900}}},
)
