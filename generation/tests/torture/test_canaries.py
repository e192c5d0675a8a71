"""Every secret is a canary, looked for wherever the product speaks: logs, answers, rows, reports and mail."""

import base64
import gzip
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts.models import User
from gallery.tests.s3server import S3Server
from generation.models import Prediction, ProviderState
from generation.tests.processes import ROOT
from generation.tests.torture.scene import IMAGE, Scene
from generation.tests.torture.surroundings import PROMPT, TOKEN
from generation.tests.wire import Wire, says
from palette.tests.databases import everything

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("DATABASE_URL" in os.environ, reason="shown already on the embedded database"),
]
PASSWORD = "canary-of-a-person"
# Who may know what was asked for: rows that are about it, the provider's word as it came, and what they are found by.
ABOUT_PROMPTS = {
    *("generation_prediction", "generation_attempt", "generation_webhookdelivery"),
    *("gallery_asset", "gallery_assetdocument", "gallery_spelling"),
}
PAGES = (
    *("/", "/gallery/", "/history", "/usage/", "/settings/", "/settings/webhooks/", "/settings/security/"),
    *(
        "/admin/",
        "/admin/health/",
        "/admin/generation/prediction/",
        "/admin/accounts/apitoken/",
        "/admin/accounts/user/",
    ),
    *("/api/predictions", "/api/tokens", "/api/gallery/assets", "/readyz", "/metrics", "/api/schema", "/nothing"),
)


def canary(what: str) -> str:
    """A value that nothing else holds."""
    return f"canary-{what}-{secrets.token_hex(20)}"


def settings_with_canaries(scene: Scene, collector: Wire) -> dict[str, str]:
    """What is secret, by its variable; no mail server, no Redis, and errors are reported to `collector`."""
    signing = base64.b64encode(canary("alerts").encode()).decode()
    return {
        "SECRET_KEY": canary("signing"),
        "SECRET_KEY_FALLBACKS": canary("signing-before"),
        "REPLICATE_WEBHOOK_SECRET": scene.sandbox.secret,
        "EMAIL_URL": f"smtp://mailer:{canary('mail')}@127.0.0.1:1",
        "REDIS_URL": f"redis://:{canary('redis')}@127.0.0.1:1/0",
        "SENTRY_DSN": f"{collector.url.replace('://', '://' + canary('reports') + '@')}/1",
        "METRICS_TOKEN": canary("figures"),
        "ALERT_WEBHOOK_URL": f"{collector.url}/alerts",
        "ALERT_WEBHOOK_SECRET": f"whsec_{signing}",
    }


def in_the_value(given: str) -> str:
    """The secret part of a setting that is an address."""
    return given.rpartition("@")[0].rpartition(":")[2].lstrip("/") if "@" in given else given


def ask_and_fail(scene: Scene, url: str) -> None:
    """A picture, and what goes wrong: a crash of ours, a failed run, a refused one."""
    run, refuse = {"outcome": {"status": "failed", "error": "CUDA out of memory"}}, {"status": 422, "kind": "refuse"}
    scene.sandbox.add_fault(run, prompt_contains="failing")
    scene.sandbox.add_fault({"answer": refuse}, prompt_contains="refused")
    asked = {}
    for about in ("a lake", "failing", "refused", "dropped"):
        answer = requests.post(
            url + IMAGE, json={"prompt": f"{about} {PROMPT}"}, headers=scene.program.headers, timeout=60
        )
        assert answer.status_code == 201, answer.text
        asked[about] = answer.json()["predictionId"]
    cancel = f"{url}/api/predictions/{asked['dropped']}/cancel"
    assert requests.post(cancel, headers=scene.program.headers, timeout=300).status_code == 500


def answers(scene: Scene, url: str) -> Iterator[tuple[str, str]]:
    """What somebody is told who signs in, is wrong about the password, forgets it, and looks at everything."""
    browser = requests.Session()
    browser.headers["Referer"] = f"{url}/"

    def told(where: str, answer: requests.Response) -> tuple[str, str]:
        return where, f"{answer.status_code} {answer.headers} {answer.text}"

    def post(path: str, **fields: str) -> tuple[str, str]:
        token = browser.cookies.get("csrftoken", "")
        return told(f"POST {path}", browser.post(url + path, {"csrfmiddlewaretoken": token, **fields}, timeout=300))

    yield told("the form", browser.get(f"{url}/accounts/login/", timeout=300))
    yield post("/accounts/login/", login=scene.user.username, password=f"not {PASSWORD}")
    yield post("/accounts/password/reset/", email=scene.user.email)
    signed_in = post("/accounts/login/", login=scene.user.username, password=PASSWORD)
    assert "sessionid" in browser.cookies, signed_in
    yield signed_in
    for path in (*PAGES, *(f"/api/predictions/{row.pk}" for row in Prediction.objects.all())):
        yield told(path, browser.get(url + path, timeout=300))
    wrong = {"Authorization": f"Token {scene.program.token}"}
    yield told("a token in the wrong words", requests.get(f"{url}/api/tokens", headers=wrong, timeout=300))
    yield told("a token in the address", requests.get(f"{url}/api/?token={scene.program.token}", timeout=300))


def reports(collector: Wire) -> Iterator[str]:
    """What has gone to Sentry's place and to the receiver of alerts; not the headers, which prove who sends it."""
    for request in collector.requests:
        packed = request.headers.get("content-encoding") == "gzip"
        yield (gzip.decompress(request.body) if packed else request.body).decode()


def test_no_secret_is_told_to_anybody(scene: Scene, on_s3: S3Server, tmp_path: Path) -> None:
    ProviderState.objects.update(webhook_secrets=[])
    User.objects.update(is_staff=True, is_superuser=True)
    scene.user.refresh_from_db()
    scene.user.password = Argon2PasswordHasher().encode(PASSWORD, "salt" * 4)
    scene.user.save()
    EmailAddress.objects.create(user=scene.user, email=scene.user.email, verified=True, primary=True)
    with Wire([says(200)]) as collector:
        given = settings_with_canaries(scene, collector)
        told = {"LOG_LEVEL": "debug", "FAULT": "cancel.before_commit:raise", **given}
        web = scene.another_web(**told)
        ask_and_fail(scene, web.url)
        scene.environment |= told
        scene.worker(PUBLIC_URL=web.url)
        scene.wait(lambda: not scene.unsettled(), meanwhile=scene.make_due)
        heard = dict(answers(scene, web.url))
        scene.wait(lambda: any("Injected" in report for report in reports(collector)))
        scene.stop_workers()
        reported = "\n".join(reports(collector))

    ends = sorted(Prediction.objects.values_list("status", flat=True))
    rows = {table: "\n".join(found) for table, found in everything().items()}
    said = {process.name: process.log() for process in scene.processes}
    mails = {str(path): path.read_text() for path in tmp_path.rglob("mail/*")}
    hidden = {name: in_the_value(value) for name, value in given.items() if name != "ALERT_WEBHOOK_URL"}
    hidden |= {"token": TOKEN, "S3": on_s3.secret_key, "API token": scene.program.token, "password": PASSWORD}
    everywhere = {**heard, **rows, **said, **mails, "reports": reported}

    assert ends == ["failed", "failed", "succeeded", "succeeded"]
    assert [(name, where) for name, value in hidden.items() for where, text in everywhere.items() if value in text] == [
        # Sentry's own key stands in what is sent to Sentry.
        ("SENTRY_DSN", "reports")
    ]
    assert PROMPT in heard["/"]
    assert {table for table in rows if PROMPT in rows[table]} <= ABOUT_PROMPTS
    assert [where for where, text in {**said, **mails, "reports": reported}.items() if PROMPT in text] == []


def test_a_database_that_does_not_answer_tells_no_password(tmp_path: Path) -> None:
    password = canary("database")
    named = {"DATABASE_URL": f"postgres://studio:{password}@127.0.0.1:1/studio", "DATA_DIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "manage.py", "migrate"], cwd=ROOT, env=os.environ | named, capture_output=True, text=True
    )

    assert done.returncode != 0
    assert "127.0.0.1" in done.stderr
    assert password not in done.stdout + done.stderr
