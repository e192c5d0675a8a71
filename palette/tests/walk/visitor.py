"""Somebody in front of the site, who knows its address and trusts its certificate."""

import base64
import hashlib
import hmac
import re
import ssl
import struct
import time
from pathlib import Path
from typing import Any, Final

import requests
from websockets.sync.client import connect
from websockets.typing import Origin

WAIT_SECONDS: Final = 600.0


class Visitor:
    """A browser's worth of cookies."""

    def __init__(self, url: str, certificate: Path) -> None:
        self.url, self.certificate = url, certificate
        self.session = requests.Session()
        # Else REQUESTS_CA_BUNDLE would count for more than what this session trusts.
        self.session.trust_env, self.session.verify = False, str(certificate)
        self.session.headers["Referer"] = f"{url}/"

    def get(self, path: str, *, status: int = 200) -> requests.Response:
        """A page, without being led elsewhere."""
        answer = self.session.get(f"{self.url}{path}", timeout=60, allow_redirects=False)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:300]}"
        return answer

    def post(self, path: str, *, status: int = 302, **fields: str) -> requests.Response:
        """A form of a page."""
        token = self.session.cookies["__Host-csrftoken"]
        answer = self.session.post(
            f"{self.url}{path}", {"csrfmiddlewaretoken": token, **fields}, timeout=60, allow_redirects=False
        )
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:2000]}"
        return answer

    def sign_in(self, name: str, password: str, *, secret: str = "") -> None:
        """By the form, with a code where one is asked for."""
        page = self.get("/accounts/login/")
        assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        led_to = self.post("/accounts/login/", login=name, password=password).headers["Location"]
        assert led_to.startswith("/accounts/code/") is bool(secret), led_to
        if secret:
            self.post("/accounts/code/", code=code_of(secret))
        assert "__Host-sessionid" in self.session.cookies

    def sign_up(self, link: str, name: str, password: str) -> None:
        """By an invitation."""
        self.session.get(link, timeout=60)
        mail = "somebody@example.com"
        self.post("/accounts/signup/", username=name, email=mail, password1=password, password2=password)

    def set_two_factor_up(self, password: str) -> str:
        """The key of the app, which this session has given a code of."""
        self.get("/settings/security/app/", status=302)
        self.get("/accounts/confirm/")
        self.post("/accounts/confirm/", password=password)
        found = re.search(r'id="totp-secret">(\w+)<', self.get("/settings/security/app/").text)
        assert found is not None
        self.post("/settings/security/app/", code=code_of(found[1], steps=-1))
        self.get("/accounts/confirm/code/")
        self.post("/accounts/confirm/code/", code=code_of(found[1]))
        return found[1]

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """The API, as the page's own scripts would."""
        headers = {"X-CSRFToken": self.session.cookies["__Host-csrftoken"]}
        answer = self.session.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=60)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()

    def make_picture(self, prompt: str) -> dict[str, Any]:
        """Ask, and wait until it lies in the gallery."""
        asked = self.call("POST", "/api/generation/image", {"prompt": prompt}, status=201)
        ends_at = time.monotonic() + WAIT_SECONDS
        while (found := self.call("GET", f"/api/predictions/{asked['predictionId']}"))["status"] != "succeeded":
            assert found["status"] in {"starting", "processing"}, found
            assert time.monotonic() < ends_at, found
            time.sleep(0.3)
        asset: dict[str, Any] = found["assets"][0]
        return asset

    def bytes_of(self, asset: dict[str, Any]) -> bytes:
        """The original, from the store to which the site leads."""
        answer = self.session.get(f"{self.url}/assets/{asset['id']}/file", timeout=60)
        assert answer.status_code == 200, answer.text[:300]
        return answer.content

    def hear(self) -> int:
        """How many cards the socket tells of the past."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        cookie = f"__Host-sessionid={self.session.cookies['__Host-sessionid']}"
        address = self.url.replace("https", "wss", 1) + "/ws/studio"
        with connect(address, ssl=context, origin=Origin(self.url), additional_headers={"Cookie": cookie}) as socket:
            socket.send('{"since": 0}')
            cards = 0
            while not str(socket.recv(timeout=60)).startswith("{"):
                cards += 1
        return cards


def code_of(secret: str, *, steps: int = 0) -> str:
    """What an authenticator app shows now, or some half minutes from now (RFC 6238)."""
    moment = struct.pack(">Q", int(time.time()) // 30 + steps)
    digest = hmac.new(base64.b32decode(secret), moment, hashlib.sha1).digest()
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06d}"
