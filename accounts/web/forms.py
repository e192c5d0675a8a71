"""What creators may say about themselves and their tokens."""

from datetime import datetime, timedelta
from typing import Any

from allauth.account.internal.userkit import filter_users_by_email
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from accounts.models import User
from accounts.tokens import InvalidToken, Wanted
from accounts.web.own_limits import NAMES as LIMIT_NAMES
from accounts.web.own_limits import Key, amount_field, count_field, figure

DAYS = {
    "30": gettext_lazy("In 30 days"),
    "90": gettext_lazy("In 90 days"),
    "365": gettext_lazy("In a year"),
    "": gettext_lazy("Never"),
}
SCOPE_NAMES = {
    "generate": (
        gettext_noop("Generate"),
        gettext_noop("ask for pictures and films, cancel, retry, upload references"),
    ),
    "read": (
        gettext_noop("Read"),
        gettext_noop("look at predictions, gallery, models, prices and usage, and fetch files"),
    ),
    "manage": (gettext_noop("Manage"), gettext_noop("change the gallery, and this account’s tokens and webhooks")),
}
TAKEN = gettext_lazy("Another account has this e-mail.")


class ProfileForm(forms.Form):
    """Name, e-mail and theme."""

    name = forms.CharField(max_length=150, required=False, strip=True)
    email = forms.EmailField(max_length=254)
    theme = forms.ChoiceField(choices=User.Theme.choices, required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        kwargs["initial"] = {"name": user.first_name, "email": user.email, "theme": user.theme}
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_email(self) -> str:
        """Without confirmation a taken address is refused here; with it, only the link could prove whose it is."""
        email = str(self.cleaned_data["email"]).lower()
        taken = any(user.pk != self.user.pk for user in filter_users_by_email(email))
        if taken and not settings.EMAIL_CONFIRMATION:
            raise ValidationError(TAKEN)
        return email

    @property
    def moves(self) -> bool:
        """Whether the valid form names another e-mail than the account has."""
        return bool(self.cleaned_data["email"] != self.user.email.lower())


class TokenForm(forms.Form):
    """A name that tells the user's tokens apart, what it may do and spend, and how long it is to last."""

    name = forms.CharField(max_length=80, strip=True)
    days = forms.ChoiceField(choices=list(DAYS.items()), initial="90", required=False)
    scopes = forms.MultipleChoiceField(
        choices=[(scope, name) for scope, (name, _) in SCOPE_NAMES.items()],
        initial=["generate", "read"],
        error_messages={"required": gettext_lazy("Choose at least one thing that it may do.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for key in LIMIT_NAMES:
            self.fields[limit_field(key)] = amount_field() if key[1] == "usd" else count_field()

    def wanted(self, *, now: datetime) -> Wanted:
        """The token that the valid form asks for."""
        days = self.cleaned_data["days"]
        return Wanted(
            name=self.cleaned_data["name"],
            scopes=self.cleaned_data["scopes"],
            expires_at=now + timedelta(days=int(days)) if days else None,
            limits={key: figure(key[1], self.cleaned_data[limit_field(key)]) for key in LIMIT_NAMES},
        )

    def refuse(self, error: InvalidToken) -> None:
        """Say beside each field why there is no such token."""
        for name, sentence in error.errors:
            self.add_error(name if name in self.fields else None, sentence)

    @property
    def shown_scopes(self) -> list[tuple[str, str, str, bool]]:
        """Value, name, explanation, and whether it is chosen."""
        chosen = self["scopes"].value() or []
        return [
            (scope, gettext(name), gettext(meaning), scope in chosen) for scope, (name, meaning) in SCOPE_NAMES.items()
        ]

    @property
    def shown_limits(self) -> list[tuple[forms.BoundField, str]]:
        """Each limit's field and name."""
        return [(self[limit_field(key)], gettext(name)) for key, name in LIMIT_NAMES.items()]

    @property
    def limits_are_open(self) -> bool:
        """Whether something was typed there."""
        return any(field.value() for field, _ in self.shown_limits)


def limit_field(key: Key) -> str:
    """The name of a limit's field."""
    return f"{key[1]}_{key[0]}"
