"""The palette app: the roof, which sees to it that what was configured exists."""

from django.apps import AppConfig


class PaletteConfig(AppConfig):
    """Registered with Django under its folder's name."""

    name = "palette"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Refuse default models that the catalog does not have."""
        from django.conf import settings

        require_models(settings.DEFAULT_IMAGE_MODEL, settings.DEFAULT_VIDEO_MODEL)


def require_models(image: str, video: str) -> None:
    """Raise BadSetting when a default model is not in the catalog, or makes the other kind."""
    from generation.catalog import all_models
    from palette.environment import BadSetting

    for name, given, kind in (("DEFAULT_IMAGE_MODEL", image, "image"), ("DEFAULT_VIDEO_MODEL", video, "video")):
        known = [spec.id for spec in all_models() if spec.type == kind]
        if given not in known:
            raise BadSetting(name, given, f"one of {', '.join(known)} is accepted")
