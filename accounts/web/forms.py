"""What creators may say about themselves and their tokens."""

from datetime import datetime, timedelta
from typing import Any

from allauth.account.internal.userkit import filter_users_by_email
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.models import ApiToken, User

DAYS = {"30": "In 30 days", "90": "In 90 days", "365": "In a year", "": "Never"}
MOST_TOKENS = 50
TAKEN = "Another account has this e-mail."


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


class TokenForm(forms.Form):
    """A name that tells the user's tokens apart, and how long it is to last."""

    name = forms.CharField(max_length=80, strip=True)
    days = forms.ChoiceField(choices=list(DAYS.items()), initial="90", required=False)

    def __init__(self, *args: Any, user: User, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.now = user, now

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        good = [token for token in ApiToken.objects.filter(user=self.user) if token.is_good(self.now)]
        if any(token.name == name for token in good):
            raise ValidationError(f"You already have a token called “{name}”. Pick another name.")
        if len(good) >= MOST_TOKENS:
            raise ValidationError(f"You have {MOST_TOKENS} tokens. Revoke one that is not needed any more.")
        return name

    @property
    def expires_at(self) -> datetime | None:
        """The moment that was chosen; None: never."""
        days = self.cleaned_data["days"]
        return self.now + timedelta(days=int(days)) if days else None
