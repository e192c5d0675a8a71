"""Every variable: a value that makes no sense stops the start with one sentence, whichever door is used."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from palette.apps import require_models
from palette.environment import SECRETS, VARIABLES, BadSetting

ROOT = Path(settings.BASE_DIR)
PRODUCTION = {
    "PUBLIC_URL": "https://studio.example.com",
    "SECRET_KEY": "n0t-used-anywhere-but-long-and-various-enough-to-be-taken!",
    "REPLICATE_API_TOKEN": "r8_" + "a" * 37,
}
S3 = {
    "S3_ENDPOINT_URL": "https://project.supabase.co/storage/v1/s3",
    "S3_BUCKET": "assets",
    "S3_ACCESS_KEY_ID": "key",
    "S3_SECRET_ACCESS_KEY": "secret-of-the-store",
}
ALERTS = {
    "ALERT_WEBHOOK_URL": "https://hooks.example.com/studio?key=1",
    "ALERT_WEBHOOK_SECRET": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
}
# Variable, a value that is refused, what else is set.
REFUSED = [
    ("PORT", "eighty", {}),
    ("PORT", "0", {}),
    ("PORT", "65536", {}),
    ("HOST", "http://127.0.0.1", {}),
    ("DATA_DIR", "/dev/null/studio", {}),
    ("DATABASE_URL", "mysql://root@localhost/studio", {}),
    ("DATABASE_URL", "postgres://db.example.com", {}),
    ("DATABASE_URL", "postgres://user:pw@host:many/name", {}),
    ("DATABASE_URL", "sqlite://:memory:", {}),
    ("REDIS_URL", "http://127.0.0.1:6379", {}),
    ("REDIS_URL", "redis://127.0.0.1:6379/first", {}),
    ("CELERY_BROKER_URL", "sqs://", {}),
    ("DB_POOL_SIZE", "0", {}),
    ("TIME_ZONE", "Berlin", {}),
    ("SECRET_KEY", "short", PRODUCTION),
    ("SECRET_KEY_FALLBACKS", "short", {}),
    ("DEBUG", "maybe", {}),
    ("DEBUG", "true", PRODUCTION),
    ("ALLOWED_HOSTS", "https://studio.example.com", {}),
    ("CSRF_TRUSTED_ORIGINS", "studio.example.com", {}),
    ("TRUSTED_PROXIES", "loadbalancer", {}),
    ("SIGNUP", "everyone", {}),
    ("EMAIL_URL", "pigeon://loft", {}),
    ("EMAIL_URL", "smtp://mail.example.com:many", {}),
    ("DEFAULT_FROM_EMAIL", "the studio", {}),
    ("ALERT_WEBHOOK_URL", "http://hooks.example.com/studio", ALERTS),
    ("ALERT_WEBHOOK_URL", "https://me:pw@hooks.example.com/studio", ALERTS),
    ("ALERT_WEBHOOK_URL", "hooks.example.com", ALERTS),
    ("WEBHOOK_HOSTS", "10.0.0.7:9000", {}),
    ("ALERT_WEBHOOK_SECRET", "", ALERTS),
    ("ALERT_WEBHOOK_SECRET", "whsec_not base64", ALERTS),
    ("ADMIN_PATH", "admin panel?", {}),
    ("PUBLIC_URL", "studio.example.com", {}),
    ("PUBLIC_URL", "http://studio.example.com", {}),
    ("PUBLIC_URL", "https://studio.example.com/palette", {}),
    ("REPLICATE_BASE_URL", "ftp://127.0.0.1", {}),
    ("REPLICATE_BASE_URL", "http://replicate.example.com", {}),
    ("REPLICATE_WEBHOOK_SECRET", "secret-without-its-prefix", {}),
    ("REPLICATE_OUTPUT_HOSTS", "https://replicate.delivery", {}),
    ("DEFAULT_IMAGE_MODEL", "nobody/nothing", {}),
    ("DEFAULT_IMAGE_MODEL", "bytedance/seedance-1-lite", {}),
    ("DEFAULT_VIDEO_MODEL", "google/nano-banana", {}),
    ("S3_ENDPOINT_URL", "project.supabase.co", S3),
    ("S3_BUCKET", "", S3),
    ("S3_ACCESS_KEY_ID", "", S3),
    ("S3_SECRET_ACCESS_KEY", "", S3),
    ("S3_PUBLIC_URL", "cdn.example.com", S3),
    ("MAX_IN_FLIGHT", "0", {}),
    ("MAX_IN_FLIGHT_PER_USER", "four", {}),
    ("CREATES_PER_MINUTE", "-1", {}),
    ("DAILY_COUNT", "1.5", {}),
    ("MONTHLY_COUNT", "many", {}),
    ("DAILY_USD", "five", {}),
    ("MONTHLY_USD", "-1", {}),
    ("SITE_DAILY_USD", "NaN", {}),
    ("SITE_MONTHLY_USD", "1e99", {}),
    ("SITE_DAILY_COUNT", "many", {}),
    ("SITE_MONTHLY_COUNT", "-1", {}),
    ("MAX_QUEUED", "0", {}),
    ("MAX_QUEUED_PER_USER", "few", {}),
    ("SPOOL_MAX_BYTES", "5 GiB", {}),
    ("TRASH_DAYS", "0", {}),
    ("STORAGE_MAX_BYTES", "50 GB", {}),
    ("KEEP_DELIVERIES_DAYS", "0", {}),
    ("KEEP_EVENTS_DAYS", "1", {}),
    ("KEEP_KEYS_DAYS", "a month", {}),
    ("KEEP_NOTICES_DAYS", "31", {}),
    ("SENTRY_DSN", "not-an-address", {}),
    ("LOG_LEVEL", "loud", {}),
    ("LOG_FORMAT", "xml", {}),
    ("METRICS_TOKEN", "short", {}),
]
# What any text is understood as: a name, a folder, a key.
FREE = {"REPLICATE_API_TOKEN", "SPOOL_DIR", "S3_REGION", "SANDBOX_URL"}


def start(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the product with these variables and no others of its own."""
    surroundings = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    surroundings |= {"DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "palette.settings"} | variables
    return subprocess.run(
        [sys.executable, *command], env=surroundings, cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any variable of the product's but a DATA_DIR."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return monkeypatch


def read_settings(surroundings: pytest.MonkeyPatch, variables: dict[str, str]) -> dict[str, Any]:
    """What `palette.settings` makes of these variables. Raises BadSetting."""
    for name, value in variables.items():
        surroundings.setenv(name, value)
    found = runpy.run_path(str(ROOT / "palette" / "settings.py"))
    require_models(found["DEFAULT_IMAGE_MODEL"], found["DEFAULT_VIDEO_MODEL"])
    return found


class TestABadValue:
    """One sentence that names the variable, what was given and what is accepted; never a stack trace."""

    @pytest.mark.parametrize(("name", "value", "others"), REFUSED, ids=[f"{n}={v}" for n, v, _ in REFUSED])
    def test_is_refused_in_one_sentence(
        self, surroundings: pytest.MonkeyPatch, name: str, value: str, others: dict[str, str]
    ) -> None:
        with pytest.raises(BadSetting) as refusal:
            read_settings(surroundings, others | {name: value})

        sentence = str(refusal.value)
        assert re.fullmatch(rf"{name} .*, but .*(accepted|needs|storage needs).*\.", sentence), sentence
        assert not value or (value in sentence) is (name not in SECRETS)

    def test_is_known_for_every_variable(self) -> None:
        assert {name for name, _, _ in REFUSED} == set(VARIABLES) - FREE

    @pytest.mark.parametrize(
        "command",
        [
            ("manage.py", "migrate"),
            ("manage.py", "studio"),
            ("-m", "daphne", "palette.asgi:application"),
            ("-c", "import palette.wsgi"),
        ],
        ids=["migrate", "studio", "daphne", "wsgi"],
    )
    def test_is_one_sentence_at_every_door(self, tmp_path: Path, command: tuple[str, ...]) -> None:
        result = start(tmp_path, *command, TIME_ZONE="Berlin")

        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert "TIME_ZONE is 'Berlin', but" in result.stderr

    def test_is_one_sentence_before_the_tests(self, tmp_path: Path) -> None:
        result = start(
            tmp_path,
            *("-m", "pytest", "palette/tests/test_environment.py", "--collect-only"),
            DATABASE_URL="mysql://root@localhost/studio",
            DJANGO_SETTINGS_MODULE="palette.tests.settings",
        )

        assert result.returncode == 4
        assert "DATABASE_URL is a value" in result.stderr
        assert "Traceback" not in result.stderr + result.stdout


class TestProduction:
    """Begins with an https origin, a listening address or a host name that is not local."""

    @pytest.mark.parametrize(
        "sign", [{"PUBLIC_URL": "https://a.example.com"}, {"HOST": "0.0.0.0"}, {"ALLOWED_HOSTS": "*"}]
    )
    @pytest.mark.parametrize("missing", ["SECRET_KEY", "REPLICATE_API_TOKEN"])
    def test_does_not_start_without(self, surroundings: pytest.MonkeyPatch, sign: dict[str, str], missing: str) -> None:
        others = {name: value for name, value in PRODUCTION.items() if name not in {"PUBLIC_URL", missing}}

        with pytest.raises(BadSetting, match=f"^{missing} is not set, but production needs"):
            read_settings(surroundings, sign | others)

    def test_has_cookies_of_its_own_host(self, surroundings: pytest.MonkeyPatch) -> None:
        found = read_settings(surroundings, PRODUCTION)

        assert found["SESSION_COOKIE_NAME"] == "__Host-sessionid"
        assert found["SECURE_SSL_REDIRECT"] is True

    def test_passes_the_deployment_check(self) -> None:
        result = subprocess.run(
            [sys.executable, "-m", "palette.tests.deployment"], cwd=ROOT, capture_output=True, text=True, check=False
        )

        assert result.returncode == 0, result.stderr


class TestTheEmbeddedDefault:
    """Needs no variable at all."""

    def test_keeps_its_secret_key_for_the_owner_only(self, surroundings: pytest.MonkeyPatch, tmp_path: Path) -> None:
        first = read_settings(surroundings, {"DATA_DIR": str(tmp_path / "new")})
        second = read_settings(surroundings, {})

        assert len(first["SECRET_KEY"]) > 50
        assert first["SECRET_KEY"] == second["SECRET_KEY"]
        assert (tmp_path / "new" / "secret_key").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700

    def test_is_not_production(self, surroundings: pytest.MonkeyPatch) -> None:
        found = read_settings(surroundings, {})

        assert (found["PRODUCTION"], found["PROVIDER"], found["SIGNUP"]) == (False, "sandbox", "open")

    def test_listens_where_the_settings_think_so(self, surroundings: pytest.MonkeyPatch) -> None:
        """A process that the network reaches must know that it is in production."""
        found = read_settings(surroundings, {})
        web = next(line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("web: "))

        assert f"--bind ${{HOST:-{found['HOST']}}} --port ${{PORT:-{found['PORT']}}} " in web


class TestUnderstoodValues:
    """What operators write, and what it means."""

    @pytest.mark.parametrize(
        ("variables", "name", "expected"),
        [
            ({"SPOOL_DIR": ""}, "SPOOL_DIR", None),
            ({"SPOOL_DIR": "/spool"}, "SPOOL_DIR", Path("/spool")),
            ({"SITE_DAILY_USD": "none"}, "SITE_DAILY_USD_MICROS", None),
            ({"SITE_DAILY_USD": "0"}, "SITE_DAILY_USD_MICROS", 0),
            ({"DAILY_USD": "2.50"}, "DAILY_USD_MICROS", 2_500_000),
            ({"REPLICATE_API_TOKEN": "r8_x"}, "SITE_DAILY_USD_MICROS", 25_000_000),
            ({"REPLICATE_API_TOKEN": "r8_x"}, "SIGNUP", "invite"),
            (ALERTS, "ALERT_WEBHOOK_URL", "https://hooks.example.com/studio?key=1"),
            (ALERTS | {"ALERT_WEBHOOK_URL": "http://[::1]:9/x"}, "ALERT_WEBHOOK_URL", "http://[::1]:9/x"),
            ({"ADMIN_PATH": "/back/office"}, "ADMIN_PATH", "back/office/"),
            ({"EMAIL_URL": "smtps://me:p%40ss@mail.example.com"}, "EMAIL_PORT", 465),
            ({"EMAIL_URL": "smtp+tls://me:p%40ss@mail.example.com"}, "EMAIL_USE_TLS", True),
            ({"EMAIL_URL": "smtp://me:p%40ss@mail.example.com"}, "EMAIL_HOST_PASSWORD", "p@ss"),
        ],
    )
    def test_mean(
        self, surroundings: pytest.MonkeyPatch, variables: dict[str, str], name: str, expected: object
    ) -> None:
        assert read_settings(surroundings, variables)[name] == expected

    def test_keep_the_options_of_a_database_address(self, surroundings: pytest.MonkeyPatch) -> None:
        found = read_settings(surroundings, {"DATABASE_URL": "postgres://me@db/studio?sslmode=require"})

        options = found["DATABASES"]["default"]["OPTIONS"]
        assert options["sslmode"] == "require"
        assert options["pool"]["max_size"] == 10

    def test_add_a_loopback_provider_to_the_output_hosts(self, surroundings: pytest.MonkeyPatch) -> None:
        found = read_settings(surroundings, {"REPLICATE_BASE_URL": "http://127.0.0.1:9000/"})

        assert found["REPLICATE_OUTPUT_HOSTS"][-1] == "127.0.0.1:9000"

    def test_choose_the_object_store(self, surroundings: pytest.MonkeyPatch) -> None:
        assert read_settings(surroundings, S3)["STORAGES"]["assets"]["BACKEND"].endswith("S3Storage")


class TestTheTable:
    """README.md lists every variable."""

    def test_names_them_all(self) -> None:
        text = (ROOT / "README.md").read_text()

        assert [name for name in VARIABLES if name != "SANDBOX_URL" and f"`{name}`" not in text] == []
