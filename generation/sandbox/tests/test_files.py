"""Uploaded files."""

import base64
import hashlib
import hmac
import os
import time

import httpx
import pytest

from generation.sandbox.running import RunningSandbox


class TestFile:
    def test_keeps_name_type_size_and_sums(self, http: httpx.Client) -> None:
        data = os.urandom(70_000) + b"\r\n--x\r\n"

        made = http.post(
            "/v1/files", files={"content": ("ä b.png", data, "image/png")}, data={"metadata": '{"a": 1}'}
        ).json()

        assert (made["name"], made["content_type"], made["size"]) == ("ä b.png", "image/png", len(data))
        assert made["checksums"]["sha256"] == hashlib.sha256(data).hexdigest()
        assert made["metadata"] == {"a": 1}
        assert http.get(made["urls"]["get"]).json() == made
        assert [item["id"] for item in http.get("/v1/files").json()["results"]] == [made["id"]]

    def test_named_by_its_own_fields_when_they_are_there(self, http: httpx.Client) -> None:
        made = http.post("/v1/files", files={"content": b"x"}, data={"filename": "n.txt", "type": "text/plain"}).json()

        assert (made["name"], made["content_type"]) == ("n.txt", "text/plain")

    def test_is_gone_once_deleted(self, running: RunningSandbox, http: httpx.Client) -> None:
        made = http.post("/v1/files", files={"content": b"x"}).json()

        assert http.delete(made["urls"]["get"]).status_code == 204
        assert http.delete(made["urls"]["get"]).status_code == 404
        assert list((running.data_dir / "files").iterdir()) == []

    def test_is_downloaded_by_a_signed_address_only(self, running: RunningSandbox, http: httpx.Client) -> None:
        made = http.post("/v1/files", files={"content": b"secret"}).json()
        expiry = int(time.time()) + 60
        key = running.sandbox.store.secret("files", "unused").encode()
        digest = hmac.new(key, f"sandbox {made['id']} {expiry}".encode(), hashlib.sha256).digest()
        good: dict[str, str | int] = {
            "owner": "sandbox",
            "expiry": expiry,
            "signature": base64.b64encode(digest).decode(),
        }
        address = f"{running.url}/v1/files/{made['id']}/download"

        assert httpx.get(address, params=good | {"signature": "x"}).status_code == 404
        assert httpx.get(address, params=good | {"expiry": expiry + 1}).status_code == 404

    @pytest.mark.parametrize("body", [b"", b"--x\r\nnothing", b"--x\r\n\r\n\r\n--x--"])
    def test_of_a_broken_form_is_refused(self, http: httpx.Client, body: bytes) -> None:
        answer = http.post("/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=x"})

        assert answer.status_code == 400

    def test_may_come_in_chunks(self, http: httpx.Client) -> None:
        parts = [
            b'--x\r\nContent-Disposition: form-data; name="content"; filename="c"\r\n\r\n',
            b"abc",
            b"\r\n--x--\r\n",
        ]

        made = http.post(
            "/v1/files", content=iter(parts), headers={"content-type": "multipart/form-data; boundary=x"}
        ).json()

        assert made["size"] == 3
