"""What is answered when no view does: a problem under /api/, a page elsewhere, and never what went wrong inside."""

import logging
from io import StringIO
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

from accounts.tests.factories import make_user
from palette import problems
from palette.urls import handler400, handler403, handler404, handler500, urlpatterns

SECRET = "secret-detail-4711"


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError(SECRET)


def cut_off(request: HttpRequest) -> HttpResponse:
    raise OperationalError(SECRET)


urlpatterns = [
    *urlpatterns,
    *(path(f"{prefix}broken", broken) for prefix in ("", "api/")),
    *(path(f"{prefix}cut-off", cut_off) for prefix in ("", "api/")),
]
__all__ = ["handler400", "handler403", "handler404", "handler500"]


@pytest.fixture
def quiet() -> Client:
    """A client that answers as a server does, instead of raising."""
    return Client(raise_request_exception=False)


@pytest.mark.django_db
@pytest.mark.urls(__name__)
class TestAnswers:
    @pytest.mark.parametrize(
        ("address", "status"),
        [("/api/nothing", 404), ("/api/broken", 500), ("/api/cut-off", 503)],
    )
    def test_are_problems_under_api(self, quiet: Client, address: str, status: int) -> None:
        response = quiet.get(address)

        assert response.status_code == status
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == status
        assert response.json()["charged"] == "none"
        assert SECRET not in response.content.decode()

    @pytest.mark.parametrize(("address", "status"), [("/nothing", 404), ("/broken", 500), ("/cut-off", 503)])
    def test_are_pages_elsewhere(self, quiet: Client, address: str, status: int) -> None:
        response = quiet.get(address)

        assert response.status_code == status
        assert response["Content-Type"].startswith("text/html")
        assert SECRET not in response.content.decode()

    def test_say_when_to_come_back(self, quiet: Client) -> None:
        assert int(quiet.get("/api/cut-off")["Retry-After"]) > 0
        assert int(quiet.get("/cut-off")["Retry-After"]) > 0

    def test_refuse_a_strange_host(self, quiet: Client) -> None:
        response = quiet.get("/api/models", headers={"host": "evil.example"})

        assert response.status_code == 400
        assert response["Content-Type"] == "application/problem+json"

    def test_keep_the_reason_of_a_csrf_failure(self) -> None:
        strict = Client(enforce_csrf_checks=True)

        response = strict.post("/accounts/login/", {"login": "ada", "password": "x"})

        assert response.status_code == 403
        assert "cookie not set" not in response.content.decode()
        assert "This page was open for too long" in response.content.decode()


@pytest.mark.django_db
class TestLog:
    @pytest.fixture
    def printed(self, monkeypatch: pytest.MonkeyPatch) -> StringIO:
        """What the console of the product shows."""
        printed = StringIO()
        (handler,) = (one for one in logging.getLogger().handlers if one.get_name() == "console")
        monkeypatch.setattr(handler, "stream", printed)
        return printed

    def test_has_a_line_for_whoever_is_no_administrator(self, quiet: Client, printed: StringIO) -> None:
        quiet.force_login(make_user())

        response = quiet.get("/admin/login/")

        assert response.status_code == 403
        assert "That is not yours to open" in response.content.decode()
        assert "/admin/login/" in printed.getvalue()
        assert "Traceback" not in printed.getvalue()

    def test_has_a_line_for_a_strange_host(self, quiet: Client, printed: StringIO) -> None:
        quiet.get("/", headers={"host": "evil.example"})

        assert "evil.example" in printed.getvalue()
        assert "Traceback" not in printed.getvalue()

    @pytest.mark.urls(__name__)
    def test_traces_our_own_faults(self, quiet: Client, printed: StringIO) -> None:
        quiet.get("/broken")

        assert "Traceback" in printed.getvalue()


class TestPage:
    def test_is_one_sentence_where_no_page_can_be_rendered(
        self, rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*args: Any, **options: Any) -> HttpResponse:
            raise OperationalError(SECRET)

        monkeypatch.setattr(problems, "render", away)

        response = problems.server_error(rf.get("/"))

        assert response.status_code == 500
        assert response["Content-Type"].startswith("text/plain")
        assert SECRET not in response.content.decode()
