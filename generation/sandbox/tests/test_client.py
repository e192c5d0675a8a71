"""Replicate's own Python client, untouched, works with the sandbox."""

import io
from typing import Any

import httpx
import pytest
from PIL import Image
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError

from generation.sandbox.running import RunningSandbox


@pytest.fixture
def client(running: RunningSandbox) -> Client:
    """The client, told nothing but where to go."""
    return Client(api_token="r8_any", base_url=running.url)


class TestClient:
    def test_runs_a_model_and_reads_its_output(self, client: Client) -> None:
        output: Any = client.run("google/nano-banana", input={"prompt": "a lake", "output_format": "png"})

        # The client wraps https addresses only; ours comes as it is.
        with Image.open(io.BytesIO(httpx.get(output).content)) as picture:
            assert picture.format == "PNG"

    def test_runs_one_with_a_list_of_outputs(self, client: Client) -> None:
        output: Any = client.run("black-forest-labs/flux-schnell", input={"prompt": "a lake", "num_outputs": 3})

        assert len(output) == 3

    def test_creates_reloads_cancels_and_lists(self, client: Client) -> None:
        made = client.models.predictions.create("bytedance/seedance-1-lite", input={"prompt": "a lake", "duration": 2})
        made.wait()
        made.cancel()

        assert made.status == "succeeded"
        assert made.progress is not None
        assert made.progress.percentage == 1.0
        assert [item.id for item in client.predictions.list().results] == [made.id]

    def test_uploads_files_that_a_model_then_reads(self, client: Client, running: RunningSandbox) -> None:
        picture = io.BytesIO()
        Image.new("RGB", (64, 32), (200, 20, 20)).save(picture, "PNG")
        picture.seek(0)
        picture.name = "red.png"

        client.run("google/nano-banana", input={"prompt": "a lake", "image_input": [picture]})

        file = client.files.list()[0]
        assert (file.name, file.content_type) == ("red.png", "image/png")
        assert running.log("create")[0]["input"]["image_input"] == [file.urls["get"]]

    def test_reads_account_model_and_secret(self, client: Client, running: RunningSandbox) -> None:
        assert client.accounts.current().username == "sandbox"
        assert client.models.get("google/nano-banana").latest_version is not None
        assert client.webhooks.default.secret().key == running.secret

    def test_hears_of_failure_by_its_own_error(self, client: Client, running: RunningSandbox) -> None:
        running.add_fault({"outcome": {"status": "failed", "error": "Prediction interrupted; please retry (code: PA)"}})

        with pytest.raises(ModelError, match="code: PA"):
            client.run("google/nano-banana", input={"prompt": "a lake"})

    def test_hears_of_refusal_by_its_own_error(self, client: Client, running: RunningSandbox) -> None:
        running.add_fault({"answer": {"kind": "refuse", "status": 402}})

        with pytest.raises(ReplicateError, match="Insufficient credit"):
            client.run("google/nano-banana", input={"prompt": "a lake"})
