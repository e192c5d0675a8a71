"""Who may spend: creators and administrators with their limits, and who is invited to become one."""

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy


def default_daily_count() -> int:
    """Predictions a day that a new user gets."""
    return int(settings.DAILY_COUNT)


def default_monthly_count() -> int:
    """Predictions a month that a new user gets."""
    return int(settings.MONTHLY_COUNT)


def default_daily_micros() -> int | None:
    """Micro-dollars a day that a new user gets; None: no limit."""
    micros: int | None = settings.DAILY_USD_MICROS
    return micros


def default_monthly_micros() -> int | None:
    """Micro-dollars a month that a new user gets; None: no limit."""
    micros: int | None = settings.MONTHLY_USD_MICROS
    return micros


def default_storage_bytes() -> int | None:
    """Bytes of files that a new user may keep; None: no limit."""
    most: int | None = settings.STORAGE_MAX_BYTES
    return most


class User(AbstractUser):
    """A creator or administrator. Limits of None do not bind; both kinds of user are metered."""

    class Theme(models.TextChoices):
        SYSTEM = "", gettext_lazy("As the system")
        DARK = "dark", gettext_lazy("Darkroom")
        LIGHT = "light", gettext_lazy("Light table")

    theme = models.CharField(max_length=5, choices=Theme.choices, blank=True, default="")
    daily_count_limit = models.PositiveIntegerField(
        "generations a day", null=True, blank=True, default=default_daily_count
    )
    monthly_count_limit = models.PositiveIntegerField(
        "generations a month", null=True, blank=True, default=default_monthly_count
    )
    daily_micros_limit = models.BigIntegerField("spend a day", null=True, blank=True, default=default_daily_micros)
    monthly_micros_limit = models.BigIntegerField(
        "spend a month", null=True, blank=True, default=default_monthly_micros
    )
    # A creator's own, lower than what an administrator allows; None leaves it at that.
    own_daily_count_limit = models.PositiveIntegerField("own limit of generations a day", null=True, blank=True)
    own_monthly_count_limit = models.PositiveIntegerField("own limit of generations a month", null=True, blank=True)
    own_daily_micros_limit = models.BigIntegerField("own limit of spend a day", null=True, blank=True)
    own_monthly_micros_limit = models.BigIntegerField("own limit of spend a month", null=True, blank=True)
    storage_bytes_limit = models.BigIntegerField("storage", null=True, blank=True, default=default_storage_bytes)
    # The number people say aloud ("462 is the one"): raised with each prediction, never reused.
    last_frame_number = models.PositiveIntegerField(default=0)
    # From then on nobody can sign in, and workers take away what there is of it, the row last (`accounts.deletion`).
    deletion_asked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(AbstractUser.Meta):
        constraints = (
            models.UniqueConstraint(
                Lower("email"),
                condition=~Q(email=""),
                name="one_account_for_each_email",
                violation_error_message=gettext_lazy("Another account has this e-mail."),
            ),
            models.CheckConstraint(
                condition=(Q(daily_micros_limit=None) | Q(daily_micros_limit__gte=0))
                & (Q(monthly_micros_limit=None) | Q(monthly_micros_limit__gte=0))
                & (Q(own_daily_micros_limit=None) | Q(own_daily_micros_limit__gte=0))
                & (Q(own_monthly_micros_limit=None) | Q(own_monthly_micros_limit__gte=0)),
                name="user_limits_not_negative",
            ),
        )


class Invitation(models.Model):
    """One e-mail address that may sign up once, by a link of which only the SHA-256 is kept."""

    email = models.EmailField()
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(editable=False)
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    accepted_by = models.ForeignKey(User, null=True, blank=True, editable=False, on_delete=models.SET_NULL)

    def __str__(self) -> str:
        return self.email

    def is_open(self, now: datetime) -> bool:
        """Neither used nor expired."""
        return self.accepted_at is None and self.expires_at > now
