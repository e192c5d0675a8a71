"""Crash reports to Sentry, or to what speaks its protocol, when `SENTRY_DSN` asks for them."""

import json
from collections.abc import Sequence
from typing import Any

from palette.environment import BadSetting
from palette.logs import mask


def start(dsn: str, *, secrets: Sequence[str]) -> None:
    """Report unhandled errors from now on, without people, bodies, local variables or secrets. Raises BadSetting."""
    import sentry_sdk  # costs a quarter of a second at every start; few ask for it
    from sentry_sdk.utils import BadDsn

    try:
        sentry_sdk.init(
            dsn=dsn,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=20,
            before_send=lambda event, hint: masked(json.loads(json.dumps(event, default=str)), secrets),
        )
    except BadDsn:
        raise BadSetting("SENTRY_DSN", dsn, "https://key@host/number is accepted") from None


def masked(told: Any, secrets: Sequence[str], name: str = "") -> Any:
    """Every text in `told`, JSON's values, without what opens a door; that of a member is read behind its `name`.

    Text by text: in JSON as it is written a mask may take a backslash away, and the report would be lost.
    """
    if isinstance(told, dict):
        return {mask(key, secrets): masked(value, secrets, key) for key, value in told.items()}
    if isinstance(told, list):
        return [masked(value, secrets, name) for value in told]
    if isinstance(told, str):
        return mask(f"{name}: {told}", secrets).partition(": ")[2]
    return told
