"""Django system checks on settings that only the catalog can judge."""

from collections.abc import Sequence
from typing import Any, Literal

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error

from generation import catalog


def default_models(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Both defaults must be models of the catalog that make what they are the default for."""
    return [
        *_check("DEFAULT_IMAGE_MODEL", settings.DEFAULT_IMAGE_MODEL, "image", "generation.E001"),
        *_check("DEFAULT_VIDEO_MODEL", settings.DEFAULT_VIDEO_MODEL, "video", "generation.E002"),
    ]


def _check(setting: str, given: str, type: Literal["image", "video"], id: str) -> list[CheckMessage]:
    accepted = [spec.id for spec in catalog.all_models() if spec.type == type]
    if given in accepted:
        return []
    words = " or ".join(accepted)
    return [Error(f"{setting} is {given!r}, but {words} is accepted.", id=id)]
