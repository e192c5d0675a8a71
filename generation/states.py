"""The states of a prediction, which may follow which, and their words outside.

`queued → starting → processing → storing → succeeded | lost`, and from the first three also `failed`,
`canceled`, `aborted`. `starting` and `processing` may be skipped. `storing` leads only to `succeeded` or
`lost`: the provider has been paid by then. A terminal state is never left.
"""

from collections.abc import Mapping
from typing import Final

from django.db import models


class Status(models.TextChoices):
    """What our row says."""

    QUEUED = "queued"
    STARTING = "starting"
    PROCESSING = "processing"
    STORING = "storing"
    SUCCEEDED = "succeeded"
    LOST = "lost"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"


TERMINAL: Final = frozenset({Status.SUCCEEDED, Status.LOST, Status.FAILED, Status.CANCELED, Status.ABORTED})
UNFINISHED: Final = frozenset(Status) - TERMINAL
# Sent or being sent and not ended at the provider.
OPEN_AT_PROVIDER: Final = frozenset({Status.QUEUED, Status.STARTING, Status.PROCESSING})
RETRYABLE: Final = frozenset({Status.FAILED, Status.CANCELED, Status.ABORTED, Status.LOST})

ALLOWED_FROM: Final[Mapping[Status, frozenset[Status]]] = {
    Status.QUEUED: frozenset({Status.STARTING, Status.PROCESSING}),  # a new attempt after a transient failure
    Status.STARTING: frozenset({Status.QUEUED}),
    Status.PROCESSING: frozenset({Status.QUEUED, Status.STARTING}),
    Status.STORING: OPEN_AT_PROVIDER,
    Status.SUCCEEDED: frozenset({Status.STORING}),
    Status.LOST: frozenset({Status.STORING}),
    Status.FAILED: OPEN_AT_PROVIDER,
    Status.CANCELED: OPEN_AT_PROVIDER,
    Status.ABORTED: OPEN_AT_PROVIDER,
}

# Replicate's statuses (its OpenAPI document, schemas_prediction_response.status). `succeeded` there is
# `storing` here: nothing is finished before its files are ours.
FROM_REPLICATE: Final[Mapping[str, Status]] = {
    "starting": Status.STARTING,
    "processing": Status.PROCESSING,
    "succeeded": Status.STORING,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
    "aborted": Status.ABORTED,
}

# What API clients read in `status`: Replicate's own words. `stage` says the finer one.
OUTSIDE: Final[Mapping[Status, str]] = {
    Status.QUEUED: "starting",
    Status.STARTING: "starting",
    Status.PROCESSING: "processing",
    Status.STORING: "processing",
    Status.SUCCEEDED: "succeeded",
    Status.LOST: "failed",
    Status.FAILED: "failed",
    Status.CANCELED: "canceled",
    Status.ABORTED: "canceled",
}
