"""Parts of pages that are kept: each state of their rows once, and never another's."""

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import caches
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts import fragments
from accounts.fragments import fragment
from accounts.models import ApiToken
from accounts.tests.factories import NOON, make_token, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was asked of the template, once for each time."""
    asked: list[dict[str, Any]] = []

    def render(template: str, context: dict[str, Any]) -> SafeString:
        asked.append(context)
        return SafeString(f"{template} {len(asked)}")

    monkeypatch.setattr(fragments, "render_to_string", render)
    caches[fragments.KEPT].clear()
    return asked


def shown(token: ApiToken, **given: Any) -> str:
    row = ApiToken.objects.get(pk=token.pk)
    return fragment("token.html", [row], {"token": row}, **given)


class TestFragment:
    def test_is_rendered_once_for_each_state(self, rendered: list[dict[str, Any]]) -> None:
        token = make_token(make_user())

        assert shown(token) == shown(token)
        assert [asked["token"].pk for asked in rendered] == [token.pk]

    @pytest.mark.parametrize("change", [{"name": "another"}, {"expires_at": NOON}, {"scopes": ["read"]}])
    def test_of_a_row_that_was_changed_is_another(self, change: dict[str, Any]) -> None:
        token = make_token(make_user())
        before = shown(token)

        ApiToken.objects.filter(pk=token.pk).update(**change)

        assert shown(token) != before

    def test_of_another_row_or_template_or_word_is_another(self) -> None:
        user = make_user()
        token, other = make_token(user), make_token(user)
        row = ApiToken.objects.get(pk=token.pk)

        found = {shown(token), shown(other), shown(token, eager=True), fragment("list.html", [row], {}), shown(token)}

        assert len(found) == 4

    def test_in_another_time_zone_is_another(self) -> None:
        token = make_token(make_user())
        with timezone.override(UTC):
            before = shown(token)

        with timezone.override(ZoneInfo("Pacific/Auckland")):
            assert shown(token) != before

    def test_of_a_row_that_was_not_read_whole_is_refused(self) -> None:
        make_token(make_user())

        with pytest.raises(KeyError, match="name"):
            fragment("token.html", [ApiToken.objects.defer("name").get()], {})

    def test_is_found_by_what_else_decides(self) -> None:
        found = {fragment("token.html", [other], {}) for other in ([1], [2], [1])}

        assert len(found) == 2
