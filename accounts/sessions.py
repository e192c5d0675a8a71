"""Sessions in the database, looked up only by keys of the kind that we hand out, by a statement made once."""

from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from accounts.statements import read


class SessionStore(DatabaseStore):
    """A cookie may say anything; PostgreSQL takes no NUL, not even to compare with."""

    def _validate_session_key(self, key: Any) -> bool:
        return bool(super()._validate_session_key(key)) and key.isascii() and key.isalnum()  # type: ignore[misc]

    def _get_session_from_db(self) -> Any:
        """The row of a session that holds; each page asks for one."""
        rows = read(self.get_model_class(), {"session_key": self.session_key})
        if rows and rows[0].expire_date > timezone.now():
            return rows[0]
        self._session_key = None
        return None
