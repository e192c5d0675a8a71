"""The group whose members see everything in the admin and can change nothing."""

from typing import Any, Final

from django.apps import apps as all_apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db.models import Q

NAME: Final = "Cost auditor"
APPS: Final = ("accounts", "generation", "gallery")


def keep_auditors(*, using: str = "default", apps: Any = all_apps, **kwargs: Any) -> None:
    """The receiver of `post_migrate`: the group has the right to view all that is ours, and what was changed.

    Django makes an app's permissions in the same signal, but after us; made here, they are there on the first day.
    Does nothing while a migration backwards has taken the tables away.
    """
    try:
        apps.get_model("auth", "Group")
        apps.get_model("admin", "LogEntry")
    except LookupError:
        return
    for label in (*APPS, "admin"):
        create_permissions(all_apps.get_app_config(label), verbosity=0, using=using)
    ours = Q(content_type__app_label__in=APPS, codename__startswith="view_")
    records = Q(content_type__app_label="admin", codename="view_logentry")
    group, _ = Group.objects.using(using).get_or_create(name=NAME)
    group.permissions.set(Permission.objects.using(using).filter(ours | records))
