"""Django's settings, all derived from the environment that `palette.environment` reads."""

import os
import warnings
from decimal import Decimal
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from palette import addresses, logs, reporting
from palette.environment import (
    LEAST_SECRET_KEY,
    LOCAL_NAMES,
    REPLICATE,
    SECRETS,
    BadSetting,
    Reader,
    is_loopback,
    kept_secret_key,
)

BASE_DIR = Path(__file__).resolve().parent.parent
read = Reader(os.environ)

# --- where and in which mode -------------------------------------------------------------------
HOST = read.matching(
    "HOST",
    "127.0.0.1",
    pattern=r"[\w.-]+|[0-9A-Fa-f:]+",
    accepted="an address or a host name, without scheme and port,",
)
PORT = read.whole("PORT", 8000, least=1, most=65535)
DATA_DIR = Path(read.text("DATA_DIR", str(BASE_DIR / "var"))).resolve()
PUBLIC_URL = read.origin("PUBLIC_URL")
ALLOWED_HOSTS = read.names(
    "ALLOWED_HOSTS", [], pattern=r"\*|\.?[\w.-]+|\[[0-9A-Fa-f:.]+\]", accepted="host names without scheme and port"
)
PRODUCTION = (
    PUBLIC_URL.startswith("https://") or not is_loopback(HOST) or any(not is_loopback(name) for name in ALLOWED_HOSTS)
)
ALLOWED_HOSTS = ALLOWED_HOSTS or [*LOCAL_NAMES, *filter(None, [urlsplit(PUBLIC_URL).hostname])]
if is_loopback(HOST) and ":" not in HOST:
    ALLOWED_HOSTS.append(HOST)
DEBUG = read.flag("DEBUG")
if PRODUCTION and DEBUG:
    raise BadSetting("DEBUG", read.text("DEBUG"), "in production only false is accepted")
SECRET_KEY = read.text("SECRET_KEY")
if PRODUCTION and (len(SECRET_KEY) < LEAST_SECRET_KEY or len(set(SECRET_KEY)) < 5):
    raise BadSetting("SECRET_KEY", SECRET_KEY, f"production needs {LEAST_SECRET_KEY} random characters of your own")
SECRET_KEY = SECRET_KEY or kept_secret_key(DATA_DIR)
# Keys of before, until nothing is signed or kept under them any more.
SECRET_KEY_FALLBACKS = read.names(
    "SECRET_KEY_FALLBACKS", [], pattern=rf"[!-~]{{{LEAST_SECRET_KEY},}}", accepted="keys of at least 50 characters"
)
CSRF_TRUSTED_ORIGINS = read.names(
    "CSRF_TRUSTED_ORIGINS",
    [PUBLIC_URL] if PUBLIC_URL else [],
    pattern=r"https?://[\w.*:\[\]-]+",
    accepted="origins such as https://studio.example.com",
)
TRUSTED_PROXIES = read.networks("TRUSTED_PROXIES")
TIME_ZONE = read.zone("TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = False
LANGUAGE_CODE = "en"

# --- the provider ------------------------------------------------------------------------------
REPLICATE_API_TOKEN = read.text("REPLICATE_API_TOKEN")
REPLICATE_BASE_URL = read.origin("REPLICATE_BASE_URL")
# "sandbox" is the bundled provider; attempts, assets and ledger entries carry this word.
PROVIDER = "replicate" if REPLICATE_API_TOKEN or REPLICATE_BASE_URL else "sandbox"
if PRODUCTION and PROVIDER == "sandbox":
    raise BadSetting("REPLICATE_API_TOKEN", "", "production needs a token (or REPLICATE_BASE_URL)")
# Set by `make run` for its own children, so that two copies can run side by side.
SANDBOX_URL = read.origin("SANDBOX_URL", "http://127.0.0.1:8765")
PROVIDER_URL = SANDBOX_URL if PROVIDER == "sandbox" else REPLICATE_BASE_URL or REPLICATE
whsec = r"whsec_(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
REPLICATE_WEBHOOK_SECRETS = read.names(
    "REPLICATE_WEBHOOK_SECRET", [], pattern=whsec, accepted="whsec_ followed by base64"
)
REPLICATE_OUTPUT_HOSTS = read.names(
    "REPLICATE_OUTPUT_HOSTS",
    ["replicate.delivery", "*.replicate.delivery"],
    pattern=r"(?:\*\.)?[\w.-]+(?::[0-9]{1,5})?",
    accepted="host, *.host or host:port",
)
if is_loopback(urlsplit(PROVIDER_URL).hostname or ""):
    REPLICATE_OUTPUT_HOSTS.append(urlsplit(PROVIDER_URL).netloc)
# Where the provider reaches us; empty means that no webhooks are asked for.
WEBHOOK_ORIGIN = PUBLIC_URL or (f"http://127.0.0.1:{PORT}" if PROVIDER == "sandbox" else "")
DEFAULT_IMAGE_MODEL = read.text("DEFAULT_IMAGE_MODEL", "google/nano-banana")
DEFAULT_VIDEO_MODEL = read.text("DEFAULT_VIDEO_MODEL", "bytedance/seedance-1-lite")

# --- queue and money (amounts in micro-dollars, None: no limit) ---------------------------------
MAX_IN_FLIGHT = read.whole("MAX_IN_FLIGHT", 50, least=1)
MAX_IN_FLIGHT_PER_USER = read.whole("MAX_IN_FLIGHT_PER_USER", 4, least=1)
# How many may wait before more are refused with 429.
MAX_QUEUED = read.whole("MAX_QUEUED", 20_000, least=1)
MAX_QUEUED_PER_USER = read.whole("MAX_QUEUED_PER_USER", 500, least=1)
CREATES_PER_MINUTE = read.whole("CREATES_PER_MINUTE", 570, least=1)
DAILY_COUNT = read.whole("DAILY_COUNT", 100)
MONTHLY_COUNT = read.whole("MONTHLY_COUNT", 1500)
DAILY_USD_MICROS = read.dollars("DAILY_USD", Decimal("5.00"))
MONTHLY_USD_MICROS = read.dollars("MONTHLY_USD", Decimal("60.00"))
real = PROVIDER == "replicate"
SITE_DAILY_USD_MICROS = read.dollars("SITE_DAILY_USD", Decimal(25) if real else None)
SITE_MONTHLY_USD_MICROS = read.dollars("SITE_MONTHLY_USD", Decimal(300) if real else None)
SITE_DAILY_COUNT = read.count_or_none("SITE_DAILY_COUNT")
SITE_MONTHLY_COUNT = read.count_or_none("SITE_MONTHLY_COUNT")

# --- how many days things are kept --------------------------------------------------------------
# The provider repeats a delivery for a minute; pages look back in events for one, administrators for longer.
KEEP_DELIVERIES_DAYS = read.whole("KEEP_DELIVERIES_DAYS", 1, least=1, most=3650)
KEEP_EVENTS_DAYS = read.whole("KEEP_EVENTS_DAYS", 90, least=2, most=3650)
KEEP_KEYS_DAYS = read.whole("KEEP_KEYS_DAYS", 30, least=1, most=3650)
# A notice of a month keeps that month's from being told again.
KEEP_NOTICES_DAYS = read.whole("KEEP_NOTICES_DAYS", 400, least=62, most=3650)

# --- accounts and mail --------------------------------------------------------------------------
SIGNUP = read.one_of("SIGNUP", "invite" if real else "open", ("open", "invite", "closed"))
EMAIL_URL = read.text("EMAIL_URL")
EMAIL_CONFIRMATION = bool(EMAIL_URL)
DEFAULT_FROM_EMAIL = read.text("DEFAULT_FROM_EMAIL", "Directors Palette <studio@localhost>")
if "@" not in parseaddr(DEFAULT_FROM_EMAIL)[1]:
    raise BadSetting("DEFAULT_FROM_EMAIL", DEFAULT_FROM_EMAIL, "an e-mail address, with or without a name, is accepted")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
vars().update(addresses.mail(read, DATA_DIR))
# Where budget notices and alerts are posted, and what they are signed with.
ALERT_WEBHOOK_URL = read.receiver("ALERT_WEBHOOK_URL")
ALERT_WEBHOOK_SECRET = read.matching("ALERT_WEBHOOK_SECRET", "", pattern=whsec, accepted="whsec_ followed by base64")
if ALERT_WEBHOOK_URL and not ALERT_WEBHOOK_SECRET:
    raise BadSetting("ALERT_WEBHOOK_SECRET", "", "ALERT_WEBHOOK_URL needs it: whsec_ followed by base64")
# Receivers on this machine that users' webhooks may go to beside public hosts.
WEBHOOK_HOSTS = read.names(
    "WEBHOOK_HOSTS",
    [],
    pattern=r"(?:127\.0\.0\.1|localhost|\[::1\]):[0-9]{1,5}",
    accepted="host:port of this machine, such as 127.0.0.1:9000",
)
ADMIN_PATH = read.matching(
    "ADMIN_PATH", "admin/", pattern=r"/?[\w-]+(?:/[\w-]+)*/?", accepted="a path of letters, digits, - and _"
)
ADMIN_PATH = ADMIN_PATH.strip("/") + "/"
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "optional" if EMAIL_CONFIRMATION else "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = True
# A new address replaces the old one when it has been confirmed, not before.
ACCOUNT_CHANGE_EMAIL = True
# Where allauth's own would let somebody fill strangers' mailboxes.
ACCOUNT_RATE_LIMITS = {"manage_email": "5/h/user", "reset_password": "20/m/ip,5/h/key"}
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
MFA_ADAPTER = "accounts.two_factor.TwoFactorAdapter"
# A phone's clock may be half a minute off.
MFA_TOTP_TOLERANCE = 1
MFA_ALLOW_UNVERIFIED_EMAIL = not EMAIL_CONFIRMATION
ADMIN_TWO_FACTOR = PRODUCTION

# --- storage ------------------------------------------------------------------------------------
S3_ENDPOINT_URL = read.endpoint("S3_ENDPOINT_URL")
S3_BUCKET = read.text("S3_BUCKET")
S3_ACCESS_KEY_ID = read.text("S3_ACCESS_KEY_ID")
S3_SECRET_ACCESS_KEY = read.text("S3_SECRET_ACCESS_KEY")
S3_REGION = read.text("S3_REGION", "us-east-1")
S3_PUBLIC_URL = read.endpoint("S3_PUBLIC_URL")
if any([S3_ENDPOINT_URL, S3_BUCKET, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY]):
    for name in ("S3_ENDPOINT_URL", "S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        if not read.text(name):
            raise BadSetting(name, "", "S3 storage needs it together with the other S3_ variables")
ASSETS_DIR = DATA_DIR / "assets"
assets_storage: dict[str, Any]
if S3_BUCKET:
    assets_storage = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "endpoint_url": S3_ENDPOINT_URL,
            "bucket_name": S3_BUCKET,
            "access_key": S3_ACCESS_KEY_ID,
            "secret_key": S3_SECRET_ACCESS_KEY,
            "region_name": S3_REGION,
            "addressing_style": "path",
            "signature_version": "s3v4",
            "querystring_expire": 600,
            "file_overwrite": False,
            "default_acl": None,
        },
    }
else:
    assets_storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(ASSETS_DIR)},
    }
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(ASSETS_DIR)}},
    "assets": assets_storage,
    "staticfiles": {"BACKEND": "palette.sheets.Storage"},
}
# Set to nothing, it turns the spool off.
SPOOL_DIR: Path | None = Path(read.text("SPOOL_DIR", str(DATA_DIR / "spool"))).resolve()
if os.environ.get("SPOOL_DIR", "unset").strip() == "":
    SPOOL_DIR = None
# How long what was put aside can be restored, and how much of the store a new user may fill (None: any amount).
TRASH_DAYS = read.whole("TRASH_DAYS", 30, least=1, most=3650)
no_limit = read.text("STORAGE_MAX_BYTES").lower() == "none"
STORAGE_MAX_BYTES = None if no_limit else read.whole("STORAGE_MAX_BYTES", 50 * 10**9, most=2**62)
SPOOL_MAX_BYTES = read.whole("SPOOL_MAX_BYTES", 5 * 1024**3, most=2**63 - 1)

# --- database, cache, channel layer -------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {"default": addresses.database(read, DATA_DIR)}
DB_POOL_SIZE = read.whole("DB_POOL_SIZE", 10, least=1, most=1000)
if DATABASES["default"]["ENGINE"] == addresses.SQLITE:
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"] |= {
        "CONN_MAX_AGE": 0,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": DATABASES["default"].get("OPTIONS", {})
        | {"pool": {"min_size": 1, "max_size": DB_POOL_SIZE, "timeout": 10}},
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = addresses.redis(read)
# Read by `palette.celery` alone, which carries the worker's steps for those who start Celery.
CELERY_BROKER_URL = addresses.broker(read)
CACHES: dict[str, dict[str, Any]]
CHANNEL_LAYERS: dict[str, dict[str, Any]]
if REDIS_URL:
    options = {"serializer": "accounts.cache.JsonSerializer", "socket_connect_timeout": 1, "socket_timeout": 2}
    redis_cache = {"LOCATION": REDIS_URL, "OPTIONS": options, "VERSION": 2}
    CACHES = {
        "default": {"BACKEND": "accounts.cache.SharedCache", **redis_cache},
        # What strangers can make grow is counted where it costs no row.
        "counts": {"BACKEND": "django.core.cache.backends.redis.RedisCache", **redis_cache},
    }
    CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
    }
else:
    CACHES = {
        "default": {"BACKEND": "accounts.cache.DatabaseCache"},
        "counts": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
# See `accounts.fragments`: a few kB each. While templates are being written the newest is shown.
CACHES["fragments"] = {
    "BACKEND": f"django.core.cache.backends.{'dummy.DummyCache' if DEBUG else 'locmem.LocMemCache'}",
    "LOCATION": "fragments",
    "TIMEOUT": None,
    "OPTIONS": {"MAX_ENTRIES": 1000},
}

# --- the application ----------------------------------------------------------------------------
INSTALLED_APPS = [
    "palette",
    "generation",
    "gallery",
    "accounts",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
]
MIDDLEWARE = [
    "palette.proxies.TrustedProxies",
    "palette.edge.Named",
    # These two also mark what those behind them answer at once: redirects, files, refusals.
    "palette.middleware.XFrameOptions",
    "palette.middleware.Policy",
    "palette.middleware.Security",
    "palette.edge.Unkept",
    "palette.edge.Compressed",
    "palette.edge.ProvidersDoor",
    "palette.static_files.StaticFiles",
    "palette.middleware.Sessions",
    "palette.middleware.Common",
    "palette.middleware.Csrf",
    "palette.middleware.Authentication",
    "palette.middleware.Messages",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "palette.edge.NoNul",
    "palette.limits.BodyLimitMiddleware",
]
# They look for Django's own three by name: ours are those, see `palette.middleware`.
SILENCED_SYSTEM_CHECKS = ["security.W001", "security.W002", "security.W003"]
CSRF_FAILURE_VIEW = "palette.problems.csrf_failure"
ROOT_URLCONF = "palette.urls"
ASGI_APPLICATION = "palette.asgi.application"
WSGI_APPLICATION = "palette.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "generation.web.context.studio",
            ],
            "builtins": ["django.templatetags.i18n"],
        },
    }
]
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not PRODUCTION
if not PRODUCTION:
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    # Served where they lie, so that nobody has to collect them first.
    warnings.filterwarnings("ignore", message="No directory at: .*staticfiles", category=UserWarning)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.BearerTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated", "accounts.api.scopes.TokenScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.bodies.JSONObjectParser"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "accounts.api.openapi.Schema",
    "EXCEPTION_HANDLER": "accounts.api.problems.exception_handler",
    # `format` is a word of ours.
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.1",
    "TITLE": "Directors Palette",
    "DESCRIPTION": "Pictures and films made with Replicate: ask, wait, look, keep, and know what it costs.",
    "VERSION": "1",
    "SERVERS": [{"url": "/"}],
    "SCHEMA_PATH_PREFIX": "/api",
    "PREPROCESSING_HOOKS": ["palette.openapi.described_paths"],
    "POSTPROCESSING_HOOKS": ["palette.openapi.completed"],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 24 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# --- browsers -----------------------------------------------------------------------------------
asset_hosts = [f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in (S3_ENDPOINT_URL, S3_PUBLIC_URL) if url]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "font-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:", *asset_hosts],
        "media-src": ["'self'", *asset_hosts],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
        "manifest-src": ["'self'"],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_ENGINE = "accounts.sessions"
# What was said to somebody lies with the session, and in no cookie of its own.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if PRODUCTION:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$", r"^api/webhooks/replicate"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"

# --- what operators read ------------------------------------------------------------------------
LOG_LEVEL = read.one_of("LOG_LEVEL", "info", ("debug", "info", "warning", "error")).upper()
LOG_FORMAT = read.one_of("LOG_FORMAT", "text", ("text", "json"))
secrets_given = [*filter(None, (read.text(name) for name in SECRETS)), SECRET_KEY]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "palette.logs.MaskingFormatter", "secrets": secrets_given},
        "json": {"()": "palette.logs.JsonFormatter", "secrets": secrets_given},
    },
    "filters": {"refusals": {"()": "django.utils.log.CallbackFilter", "callback": logs.without_traceback_of_refusals}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["refusals"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # Django's own handlers would print beside ours, unmasked.
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        # Daphne tells how it listens; the HTTP clients name every address they call, query string included.
        "daphne": {"level": "WARNING"},
        # While Redis is away it would tell so with a traceback each second; the live feed says it in a sentence.
        "channels_redis": {"level": "CRITICAL"},
        **{name: {"level": "WARNING"} for name in ("httpx", "httpcore", "urllib3", "botocore", "PIL", "asyncio")},
    },
}
# Who carries it may read `/metrics` from elsewhere than this machine.
METRICS_TOKEN = read.matching("METRICS_TOKEN", "", pattern=r"[!-~]{20,200}", accepted="20 to 200 printable characters")
SENTRY_DSN = read.text("SENTRY_DSN")
if SENTRY_DSN:
    reporting.start(SENTRY_DSN, secrets=secrets_given)
