"""Two-factor sign-in: the keys of authenticator apps are kept encrypted, and the admin asks for a code."""

import base64
import logging
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.internal.httpkit import add_query_params
from allauth.mfa import app_settings
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from allauth.mfa.utils import is_mfa_enabled
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.cache import cache
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy

from accounts.models import User

log = logging.getLogger(__name__)

ISSUER: Final = "Directors Palette"


class TwoFactorAdapter(DefaultMFAAdapter):
    """allauth's questions about second factors."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": gettext_lazy("That code is not right, or has been used. Codes change every half minute."),
        "cannot_delete_authenticator": gettext_lazy("Two-factor sign-in cannot be turned off."),
        "cannot_generate_recovery_codes": gettext_lazy("There are recovery codes only with two-factor sign-in."),
        "unverified_email": gettext_lazy(
            "Confirm your e-mail first: its link is the way back in if the codes are lost."
        ),
    }

    def get_totp_issuer(self) -> str:
        return ISSUER

    def encrypt(self, text: str) -> str:
        return ciphers().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """What nobody can guess, so that no code fits, if the key that it was kept under is gone."""
        try:
            return ciphers().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            log.error(
                "a second factor cannot be read: SECRET_KEY has changed, and SECRET_KEY_FALLBACKS lacks the old one"
            )
            return base64.b32encode(secrets.token_bytes(20)).decode()


def take_codes_once() -> None:
    """allauth remembers a used code for one step, though with its tolerance a code is good for three."""

    def mark_used(app: TOTP, code: str) -> bool:
        steps = 2 * app_settings.TOTP_TOLERANCE + 1
        return bool(cache.add(app._get_used_cache_key(code), "y", timeout=steps * app_settings.TOTP_PERIOD))

    TOTP._mark_code_used = mark_used


def ciphers() -> MultiFernet:
    """Made of `SECRET_KEY` and those before it: what is written is written under the newest."""
    return MultiFernet([_cipher(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _cipher(secret: str) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"two-factor").derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))


def keep_under_newest_key() -> int:
    """Encrypt again what was kept under a `SECRET_KEY` before; returns how many secrets could be read."""
    kept = 0
    for row in Authenticator.objects.all().iterator():
        name = "secret" if row.type == Authenticator.Type.TOTP else "seed"
        try:
            again = ciphers().rotate(row.data[name].encode()).decode()
        except (InvalidToken, KeyError):
            continue
        kept += Authenticator.objects.filter(pk=row.pk, data=row.data).update(data=row.data | {name: again})
    return kept


def forget(user: User) -> bool:
    """Turn it off for somebody who has lost phone and codes; False when it was not on."""
    deleted, _ = Authenticator.objects.filter(user=user).delete()
    return bool(deleted)


def guard(site: AdminSite) -> None:
    """Put every page of the admin behind a second factor, where `ADMIN_TWO_FACTOR` says so."""
    open_view = site.admin_view

    def guarded_view(view: Any, cacheable: bool = False) -> Any:
        return _asking_for_code(open_view(view, cacheable))

    site.admin_view = guarded_view  # type: ignore[method-assign]  # the pages of all models come through here


def _asking_for_code(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    @wraps(view)
    def asking(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        inside = user.is_active and user.is_staff and request.path != reverse("admin:logout")
        if not (settings.ADMIN_TWO_FACTOR and inside) or has_given_code(request):
            return view(request, *args, **kwargs)
        if is_mfa_enabled(user, [Authenticator.Type.TOTP]):
            return redirect(add_query_params(reverse("mfa_reauthenticate"), {"next": request.get_full_path()}))
        messages.info(request, gettext("The administration asks for two-factor sign-in. Set it up, then come back."))
        return redirect("mfa_activate_totp")

    return asking


def has_given_code(request: HttpRequest) -> bool:
    """Whether this session was opened or confirmed with a code of a second factor that is still on."""
    given = any(record["method"] == "mfa" for record in get_authentication_records(request, request.user))
    return given and is_mfa_enabled(request.user, [Authenticator.Type.TOTP])
