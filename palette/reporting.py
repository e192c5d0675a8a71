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

    def masked(event: Any, hint: dict[str, Any]) -> Any:
        return json.loads(mask(json.dumps(event, default=str), secrets))

    try:
        sentry_sdk.init(
            dsn=dsn,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=20,
            before_send=masked,
        )
    except BadDsn:
        raise BadSetting("SENTRY_DSN", dsn, "https://key@host/number is accepted") from None
