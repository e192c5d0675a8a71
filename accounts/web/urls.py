"""Addresses of the way in, the settings and the usage page. Of allauth's, only those that are offered."""

from allauth.account import views as allauth
from allauth.mfa.base import views as second_factor
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from django.urls import path, re_path
from django.views.decorators.cache import never_cache
from django.views.generic import RedirectView

from accounts.web import entrance, leaving, profile, security, usage

urlpatterns = [
    path("accounts/login/", entrance.SignIn.as_view(), name="account_login"),
    path("accounts/logout/", allauth.logout, name="account_logout"),
    path("accounts/inactive/", allauth.account_inactive, name="account_inactive"),
    path("accounts/signup/", entrance.SignUp.as_view(), name="account_signup"),
    path("accounts/invitation/<str:token>/", entrance.invitation, name="account_invitation"),
    path("accounts/password/change/", allauth.password_change, name="account_change_password"),
    path("accounts/password/set/", allauth.password_set, name="account_set_password"),
    path("accounts/password/reset/", allauth.password_reset, name="account_reset_password"),
    path("accounts/password/reset/done/", allauth.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        allauth.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "accounts/password/reset/key/done/",
        allauth.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("accounts/confirm-email/", allauth.email_verification_sent, name="account_email_verification_sent"),
    re_path(r"^accounts/confirm-email/(?P<key>[-:\w]+)/$", allauth.confirm_email, name="account_confirm_email"),
    # allauth sends people here to look after their address; ours is in the settings.
    path("accounts/email/", RedirectView.as_view(pattern_name="settings"), name="account_email"),
    path("accounts/confirm/", allauth.reauthenticate, name="account_reauthenticate"),
    path("accounts/code/", second_factor.authenticate, name="mfa_authenticate"),
    path("accounts/confirm/code/", second_factor.reauthenticate, name="mfa_reauthenticate"),
    path("settings/security/", security.security_page, name="settings_security"),
    path("settings/security/sign-out-others/", security.sign_out_others, name="sign_out_others"),
    path("settings/security/app/", never_cache(totp.activate_totp), name="mfa_activate_totp"),
    path("settings/security/app/off/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("settings/security/codes/", never_cache(recovery.view_recovery_codes), name="mfa_view_recovery_codes"),
    path("settings/security/codes/new/", recovery.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("settings/security/codes/file/", recovery.download_recovery_codes, name="mfa_download_recovery_codes"),
    # allauth sends people to these two; ours is one page.
    path("accounts/2fa/", RedirectView.as_view(pattern_name="settings_security"), name="mfa_index"),
    path("accounts/sessions/", RedirectView.as_view(pattern_name="settings_security"), name="usersessions_list"),
    path("settings/", profile.settings_page, name="settings"),
    path("settings/delete/", leaving.delete_page, name="account_delete"),
    path("settings/confirmation/", profile.confirmation_send, name="settings_confirmation"),
    path("settings/tokens/", profile.token_create, name="token_create"),
    path("settings/tokens/<uuid:id>/revoke/", profile.token_revoke, name="token_revoke"),
    path("usage/", usage.usage_page, name="usage"),
    path("usage/ledger.csv", usage.ledger_csv, name="usage_csv"),
]
