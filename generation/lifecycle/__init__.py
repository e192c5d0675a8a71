"""Every change of a prediction's state passes here: asked for, moved by what the provider says, ended.

State moves by UPDATEs guarded by `states.ALLOWED_FROM`; whoever loses a race changes nothing. Money moves in the
transaction that learns the provider's end, and only there. Attempts are locked before predictions, and these before
quotas.
"""

from generation.lifecycle.asking import (
    LEAST_TIME_TO_STORE,
    EmailNotConfirmed,
    IdempotencyConflict,
    ModelUnavailable,
    NotRetryable,
    SubmissionsClosed,
    check_doors,
    find_repeat,
    late_to_store,
    request_prediction,
    retry_prediction,
    storing_is_behind,
)
from generation.lifecycle.depth import QueueFull
from generation.lifecycle.ending import (
    SPOOLED_FOR,
    NotCancelable,
    abandon,
    cancel_prediction,
    conclude,
    fail_unsent,
    finish_storing,
    give_up_set_aside,
    give_up_storing,
    keep_waiting,
    lock_storing,
)
from generation.lifecycle.hearing import (
    RETENTION,
    STORING_WATCH,
    Asker,
    apply_locked,
    apply_update,
    is_anothers,
    locked,
)
from generation.lifecycle.rows import current_attempt

__all__ = [
    "LEAST_TIME_TO_STORE",
    "RETENTION",
    "SPOOLED_FOR",
    "STORING_WATCH",
    "Asker",
    "EmailNotConfirmed",
    "IdempotencyConflict",
    "ModelUnavailable",
    "NotCancelable",
    "NotRetryable",
    "QueueFull",
    "SubmissionsClosed",
    "abandon",
    "apply_locked",
    "apply_update",
    "cancel_prediction",
    "check_doors",
    "conclude",
    "current_attempt",
    "fail_unsent",
    "find_repeat",
    "finish_storing",
    "give_up_set_aside",
    "give_up_storing",
    "is_anothers",
    "keep_waiting",
    "late_to_store",
    "lock_storing",
    "locked",
    "request_prediction",
    "retry_prediction",
    "storing_is_behind",
]
