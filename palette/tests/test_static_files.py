"""Static files come with and without a thread of their own, and everything else goes past them."""

from django.test import AsyncClient, Client

SHEET = "/static/css/oversight.css"


class TestStaticFiles:
    def test_are_served_under_wsgi(self, client: Client) -> None:
        assert client.get(SHEET)["Content-Type"].startswith("text/css")
        assert client.get("/healthz").status_code == 200

    async def test_are_served_under_asgi(self, async_client: AsyncClient) -> None:
        response = await async_client.get(SHEET)
        assert response["Content-Type"].startswith("text/css")
        assert response["X-Content-Type-Options"] == "nosniff"
        assert (await async_client.get("/healthz")).status_code == 200
