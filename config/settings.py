"""The one settings file. What differs between installations is an environment variable; docs/settings.md lists them."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF

from config.beat import beat_schedule

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
if env_file := env.str("LIKENESS_ENV_FILE", ""):
    env.read_env(env_file)

# Where the embedded default keeps everything it writes.
VAR_DIR = Path(env.str("LIKENESS_VAR", str(BASE_DIR / "var")))

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "")  # consent.checks names it when it is missing
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
BASE_URL = env.str("BASE_URL", "http://localhost:8000").rstrip("/")  # how mails and exports name this site

# Where annotators label: this site again under another name or port, which shows Label Studio (annotation.gateway).
LABELLING_URL = env.str("LABELLING_URL", "http://localhost:8001").rstrip("/")

INSTALLED_APPS = [
    "consent",
    "collection",
    "annotation",
    "exports",
    "config",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "drf_spectacular",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
]

MIDDLEWARE = [
    "config.middleware.LongAnswers",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.middleware.LabellingAddress",
    "config.middleware.ReplayGuard",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database -----------------------------------------------------------------------------------

SQLITE_INIT = (
    "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;"
    # Without recursive triggers REPLACE deletes rows past the append-only triggers.
    "PRAGMA recursive_triggers=ON;"
    # What is deleted is overwritten in the file, whatever SQLite was built with.
    "PRAGMA secure_delete=ON;"
)
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'likeness.sqlite3'}")
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": SQLITE_INIT,
    }
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", 60)
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # How often a connection is asked a `prepared.Question` before the server keeps its plan; of no other statement.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("prepare_threshold", 2)
    # Of the web alone, which has more threads than PostgreSQL would have connections for: most wait for bytes.
    if env.bool("WEB_PROCESS", False) and (DATABASE_POOL := env.int("DATABASE_POOL", 32)):
        DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": DATABASE_POOL}
    else:
        DATABASES["default"]["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", 60)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Shared by all processes: allauth counts failed sign-ins here, and memory of their own would multiply its limits.
CACHES = {"default": env.cache_url("CACHE_URL", default=f"filecache://{VAR_DIR / 'cache'}")}

# --- Bytes --------------------------------------------------------------------------------------

STORAGE_BUCKETS = ("originals", "derivatives", "releases", "evidence", "erasures", "uploads", "imports", "keys")
# The erasure list must survive what happens to the database: best on another disk, and never in its backup.
STORAGE_DIRS = {"erasures": Path(env.str("ERASURES_DIR", str(VAR_DIR / "storage" / "erasures")))}
# Neither are the keys of photographs part of any backup: a key that is deleted has to be gone (collection.keys).
STORAGE_DIRS["keys"] = Path(env.str("KEYS_DIR", str(VAR_DIR / "storage" / "keys")))
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", "")
S3_BROWSER_ENDPOINT_URL = env.str("S3_BROWSER_ENDPOINT_URL", "")  # if browsers reach it by another address than we
S3_ACCESS_KEY = env.str("S3_ACCESS_KEY", "")
S3_SECRET_KEY = env.str("S3_SECRET_KEY", "")
S3_REGION = env.str("S3_REGION", "us-east-1")


def storage(name: str) -> dict[str, Any]:
    """One of STORAGE_BUCKETS on the filesystem, or on S3 when S3_BUCKET_PREFIX is set."""
    if prefix := env.str("S3_BUCKET_PREFIX", ""):
        return {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": f"{prefix}{name}",
                "endpoint_url": S3_ENDPOINT_URL or None,
                "access_key": S3_ACCESS_KEY or None,
                "secret_key": S3_SECRET_KEY or None,
                "region_name": S3_REGION,
                "file_overwrite": True,
                "querystring_auth": True,
                "max_memory_size": 4 * 1024 * 1024,  # what is read of an object beyond that waits in a file
                "default_acl": None,
            },
        }
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": STORAGE_DIRS.get(name, VAR_DIR / "storage" / name), "allow_overwrite": True},
    }


STORAGES = {
    **{name: storage(name) for name in STORAGE_BUCKETS},
    "default": storage("derivatives"),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
STATIC_URL = "assets/"  # not static/: that is Label Studio's, at LABELLING_URL
STATIC_ROOT = VAR_DIR / "static"
UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", 60 * 1024 * 1024)  # one photograph
# Photographs on their way (collection.uploads): how long and how many, per person.
UPLOAD_DAYS = env.int("UPLOAD_DAYS", 2)
UPLOADS_UNFINISHED = env.int("UPLOADS_UNFINISHED", 100)
UPLOADS_UNFINISHED_BYTES = env.int("UPLOADS_UNFINISHED_BYTES", 2 * 1024**3)
REVIEW_CLAIM_SECONDS = env.int("REVIEW_CLAIM_SECONDS", 300)  # a case without a sign of its reviewer is free again
REVIEW_UNDO_SECONDS = env.int("REVIEW_UNDO_SECONDS", 20)  # before a reviewer's decision takes effect
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 100
# Of our own, so that what killed processes leave there can be told from what is others' (erasure.remove_temporary).
FILE_UPLOAD_TEMP_DIR = env.str("UPLOAD_TEMP_DIR", "") or str(VAR_DIR / "tmp")
Path(FILE_UPLOAD_TEMP_DIR).mkdir(parents=True, exist_ok=True)

# What one file may cost the process that opens it (ADR 0015): seconds on the clock, half of them of processor time.
DECODER_SECONDS = env.float("DECODER_SECONDS", 20.0)
DECODER_MEMORY_MB = env.int("DECODER_MEMORY_MB", 1536)  # address space, of which the decoder's code takes 200

# --- Celery -------------------------------------------------------------------------------------

CELERY_BROKER_URL = env.str("BROKER_URL", "filesystem://")
if CELERY_BROKER_URL.startswith("filesystem"):
    BROKER_DIR = VAR_DIR / "broker"
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "control_folder": str(BROKER_DIR / "control"),
        "polling_interval": 0.05,
    }
    for folder in ("queue", "control"):
        (BROKER_DIR / folder).mkdir(parents=True, exist_ok=True)
elif CELERY_BROKER_URL.startswith("amqp"):
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
    CELERY_TASK_DEFAULT_EXCHANGE_TYPE = "topic"  # with a direct exchange countdowns fail on quorum queues
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND_THREAD_SAFE = True  # there is none, and every thread of the web would look for it: 40 ms
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SOFT_TIME_LIMIT = 540
# A worker on the filesystem broker acknowledges only between waits of two seconds: when its hands are full it idles.
# The beat sends some twenty messages at once, and what people wait for comes behind them.
CELERY_WORKER_PREFETCH_MULTIPLIER = 64 if CELERY_BROKER_URL.startswith("filesystem") else 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_ROUTES = {
    "collection.tasks.*": {"queue": "ingest"},
    "consent.tasks.*": {"queue": "ingest"},
    "annotation.tasks.*": {"queue": "label"},
    "exports.tasks.build*": {"queue": "build"},  # takes hours; withdrawals in "export" wait for nobody
    "exports.tasks.*": {"queue": "export"},
}
CELERY_TASK_DEFAULT_QUEUE = "ingest"

# How often each sweep looks for pending rows. A lost message costs at most this delay.
SWEEP_SECONDS = env.float("SWEEP_SECONDS", 5.0)
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = beat_schedule(SWEEP_SECONDS)

# --- Retention (consent.retention_table) ---------------------------------------------------------

RETENTION_CONTACT_DAYS = env.int("RETENTION_CONTACT_DAYS", 1095)  # without a word: permissions lapse
EVIDENCE_DAYS = env.int("EVIDENCE_DAYS", 1095)  # after a permission ended: the signature's evidence and the receipt
REQUEST_DAYS = env.int("REQUEST_DAYS", 1095)  # after the answer: who asked, and the words
IMPORT_REPORT_DAYS = env.int("IMPORT_REPORT_DAYS", 90)  # after a library import ended: what it refused
REMOVED_DIGEST_DAYS = env.int("REMOVED_DIGEST_DAYS", 3650)  # after its erasure: what knows a photograph again
UNCONFIRMED_DAYS = env.int("UNCONFIRMED_DAYS", 30)  # accounts whose address was never confirmed
CLOCK_SETTLE_HOURS = env.int("CLOCK_SETTLE_HOURS", 24)  # a clock that jumped is believed after so long

# --- People -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "consent.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
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
LOGIN_REDIRECT_URL = "home"
LOGIN_URL = "account_login"
ACCOUNT_ADAPTER = "consent.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Likeness: "
# allauth throttles by address; the demo's twelve people share one, so the limit is a setting.
ACCOUNT_RATE_LIMITS = {
    "signup": env.str("SIGNUP_RATE_LIMIT", "20/m/ip"),
    "login_failed": "10/m/ip,5/5m/key",
}
# Staff set up an authenticator app before they see a staff page. Secrets are encrypted: consent.mfa.
STAFF_MFA = env.bool("STAFF_MFA", True)
MFA_ADAPTER = "consent.mfa.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Likeness"
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])  # earlier ones, while a new one takes over
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "Likeness <noreply@localhost>")
REPLY_TO_EMAIL = env.list("REPLY_TO_EMAIL", default=[])

# --- Security -----------------------------------------------------------------------------------

HTTPS = env.bool("HTTPS", False)
SECURE_SSL_REDIRECT = HTTPS
SESSION_ENGINE = "config.sessions"
# Names of our own: Label Studio on another port of the same host is a Django project too, and cookies know no ports.
SESSION_COOKIE_NAME = "likeness_session"
CSRF_COOKIE_NAME = "likeness_csrf"
# Needed where LABELLING_URL is another host name: the domain that both share.
SESSION_COOKIE_DOMAIN = env.str("SESSION_COOKIE_DOMAIN", "") or None
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
# How many proxies of ours stand in front: decides which entry of X-Forwarded-For is the client (consent.addresses).
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0)
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", False) else None
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

# --- Signing ------------------------------------------------------------------------------------

# Ed25519 private key (PEM) that signs receipts, ledger checkpoints, releases and notices.
SIGNING_KEY_FILE = Path(env.str("SIGNING_KEY_FILE", str(VAR_DIR / "keys" / "signing.pem")))
# Base64 of 32 bytes: over the keys of all photographs (collection.keys).
MASTER_KEY_FILE = Path(env.str("MASTER_KEY_FILE", str(VAR_DIR / "keys" / "master.key")))
# The name in signed checkpoints: C2SP tlog-checkpoint "origin", also the key's name.
LEDGER_ORIGIN = env.str("LEDGER_ORIGIN", "likeness.local/ledger")
# Kinds of entries that rows of the apps above must match (consent.audit), and who says what those rows tell.
LEDGER_PROOF = {
    "image.removed": "collection.removals.proof_rows",
    "adjustment.made": "annotation.payout_events.adjustment_rows",
    "payment.changed": "annotation.payout_events.change_rows",
}
# A bucket with object lock that gets a copy of each checkpoint; empty: none.
CHECKPOINT_BUCKET = env.str("CHECKPOINT_BUCKET", "")
CHECKPOINT_LOCK_DAYS = env.int("CHECKPOINT_LOCK_DAYS", 3650)

# --- Label Studio -------------------------------------------------------------------------------

LABEL_STUDIO_URL = env.str("LABEL_STUDIO_URL", "").rstrip("/")
LABEL_STUDIO_TOKEN = env.str("LABEL_STUDIO_TOKEN", "")
# Calls of one web process at once, in annotators' names: Label Studio answers
# in turns anyway, and on SQLite it fails ("database is locked") at more.
LABEL_STUDIO_CALLS = env.int("LABEL_STUDIO_CALLS", 4)
# Its data folder, if it is on this machine: the copies that its exports leave there are deleted at once.
LABEL_STUDIO_DATA_DIR = env.str("LABEL_STUDIO_DATA_DIR", "")
# Label Studio sends this header with every webhook; it has no HMAC.
LABEL_STUDIO_WEBHOOK_SECRET = env.str("LABEL_STUDIO_WEBHOOK_SECRET", "")
HELD_AT_ONCE = env.int("HELD_AT_ONCE", 20)  # photographs that an annotator may hold without having answered them
DISPUTE_DAYS = env.int("DISPUTE_DAYS", 30)  # after a judgement: how long its annotator may dispute it

# --- Screening (collection.vendors) --------------------------------------------------------------

# Who is asked about what a photograph shows, and about the age of who is in it. Default: nobody; people look.
MODERATION = {
    "BACKEND": env.str("MODERATION_BACKEND", "collection.moderation.HumanDesk"),
    "OPTIONS": env.json("MODERATION_OPTIONS", default={}),
}
AGE_ESTIMATION = {
    "BACKEND": env.str("AGE_BACKEND", "collection.age.HumanDesk"),
    "OPTIONS": env.json("AGE_OPTIONS", default={}),
}
VENDOR_MONTHLY_CAP = Decimal(env.str("VENDOR_MONTHLY_CAP", "20"))
VENDOR_CURRENCY = env.str("VENDOR_CURRENCY", "USD")

# The least that an hour of labelling should bring, by currency: a campaign whose median hour brings less says so.
WAGE_FLOOR: dict[str, str] = env.json("WAGE_FLOOR", default={})

# What an hour at the review desk costs, for the page of costs. Nought: hours are shown, without a price.
REVIEW_HOURLY_COST = Decimal(env.str("REVIEW_HOURLY_COST", "0"))
REVIEW_CURRENCY = env.str("REVIEW_CURRENCY", "EUR")

# --- Pay (annotation.payouts) --------------------------------------------------------------------

# Whom the bank debits for annotators' pay; all of it, or nothing while nobody is paid (annotation.checks).
PAYER = {
    "name": env.str("PAYER_NAME", ""),
    "iban": env.str("PAYER_IBAN", ""),
    "bic": env.str("PAYER_BIC", ""),
    "street": env.str("PAYER_STREET", ""),
    "building": env.str("PAYER_BUILDING", ""),
    "postcode": env.str("PAYER_POSTCODE", ""),
    "town": env.str("PAYER_TOWN", ""),
    "country": env.str("PAYER_COUNTRY", ""),
}
# What one data manager may correct of somebody's pay in 30 days without a second person, in units of each currency.
ADJUSTED_ALONE = Decimal(env.str("ADJUSTED_ALONE", "50.00"))
PAYOUT_MINIMUM = Decimal(env.str("PAYOUT_MINIMUM", "20.00"))  # what a run proposes; its preparer may choose another
PAYMENT_DETAILS_DAYS = env.int("PAYMENT_DETAILS_DAYS", 3650)  # after its run was prepared: where a payment went

# --- House --------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
SILENCED_SYSTEM_CHECKS: list[str] = env.list("SILENCED_SYSTEM_CHECKS", default=[])
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
# How often one recipient's token may ask in a minute: for facts, for files, for what changed between two releases.
API_PER_MINUTE = {
    "facts": env.int("API_FACTS_PER_MINUTE", 600),
    "files": env.int("API_FILES_PER_MINUTE", 3000),
    "differences": env.int("API_DIFFERENCES_PER_MINUTE", 20),  # each looks at every label of two releases
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Likeness: releases for ML teams",
    "DESCRIPTION": "Published releases of datasets, their files, and what became of withdrawn rows.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/",
    "PREPROCESSING_HOOKS": ["exports.api_pages.only_ours"],
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
    # At INFO httpx writes every address it asks, which would put Label Studio's invitation tokens into the logs.
    "loggers": {"httpx": {"level": "WARNING"}},
}
