"""What a load balancer and an alarm ask."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from generation.tests.making import make_prediction


class TestHealthz:
    @pytest.mark.parametrize("address", ["/healthz", "/healthz/"])
    def test_answers_without_the_database(self, client: Client, address: str) -> None:
        response = client.get(address)

        assert response.status_code == 200
        assert response.json() == {"status": "ok"}
        assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
class TestReadyz:
    @pytest.mark.parametrize("address", ["/readyz", "/readyz/"])
    def test_names_what_answers(self, client: Client, address: str) -> None:
        response = client.get(address)

        assert response.status_code == 200
        assert response.json() == {
            "status": "ok",
            "checks": {"database": "ok", "queue": "ok", "storage": "ok"},
        }

    def test_fails_when_nobody_takes_what_is_due(self, client: Client) -> None:
        make_prediction(now=timezone.now() - timedelta(minutes=10))

        response = client.get("/readyz")

        assert response.status_code == 503
        assert response.json()["checks"]["queue"] == "late"

    def test_does_not_mind_what_has_just_become_due(self, client: Client) -> None:
        make_prediction(now=timezone.now() - timedelta(seconds=40))

        assert client.get("/readyz").status_code == 200

    def test_fails_without_storage_and_tells_no_more(self, client: Client, settings: Settings, tmp_path: Path) -> None:
        blocked = tmp_path / "blocked"
        blocked.write_text("a file, not a folder")
        options = {"location": str(blocked)}
        backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
        settings.STORAGES = settings.STORAGES | {"assets": backend}

        response = client.get("/readyz")

        assert response.status_code == 503
        assert response.json()["checks"] == {"database": "ok", "queue": "ok", "storage": "failing"}
        assert str(tmp_path) not in response.content.decode()
