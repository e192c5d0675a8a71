"""Static files come with and without a thread of their own, the sheets of every page as one; all else goes past."""

import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.test import AsyncClient, Client
from pytest_django import Settings

from accounts.templatetags.studio import ALL_SHEETS, SHEETS, sheets
from palette.sheets import Storage

SHEET = "/static/css/oversight.css"
FACE = "fonts/archivo-condensed-latin.woff2"


class TestStaticFiles:
    def test_are_served_under_wsgi(self, client: Client) -> None:
        assert client.get(SHEET)["Content-Type"].startswith("text/css")
        assert client.get("/healthz").status_code == 200

    async def test_are_served_under_asgi(self, async_client: AsyncClient) -> None:
        response = await async_client.get(SHEET)
        assert response["Content-Type"].startswith("text/css")
        assert response["X-Content-Type-Options"] == "nosniff"
        assert (await async_client.get("/healthz")).status_code == 200


class TestSheets:
    def test_are_collected_as_one_file(self, tmp_path: Path) -> None:
        paths: dict[str, Any] = {}
        for name in (*SHEETS, FACE):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            shutil.copy(settings.BASE_DIR / "static" / name, tmp_path / name)
            paths[name] = (FileSystemStorage(tmp_path), name)
        storage = Storage(location=tmp_path)

        list(storage.post_process(paths))

        whole = Path(storage.path(storage.stored_name(ALL_SHEETS)))
        assert [whole.read_text().count(first_line(name)) for name in SHEETS] == [1] * len(SHEETS)
        assert "archivo-condensed-latin." in whole.read_text() and whole.with_name(f"{whole.name}.gz").exists()

    def test_are_one_link_once_collected(self, settings: Settings) -> None:
        assert sheets().count("<link") == len(SHEETS)

        settings.WHITENOISE_USE_FINDERS = False

        assert sheets() == '<link rel="stylesheet" href="/static/css/all.css">'


def first_line(name: str) -> str:
    """What no other sheet begins with."""
    return str((settings.BASE_DIR / "static" / name).read_text().partition("\n")[0])
