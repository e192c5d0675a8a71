"""Google's Veo 3.1 Fast: short films with sound (https://replicate.com/google/veo-3.1-fast)."""

from django.utils.translation import gettext_noop as _

from generation.catalog.base import Field, ModelSpec, PriceRule, last_needs_first


def price(usd: str, *, sound: bool) -> PriceRule:
    """USD a second."""
    source = "Replicate's billing configuration of the model, read 2026-10-05"
    return PriceRule(
        unit="second", usd=usd, conditions={"generate_audio": sound}, effective_from="2025-11-01", source=source
    )


VEO_3_1_FAST = ModelSpec(
    id="google/veo-3.1-fast",
    type="video",
    title="Veo 3.1 Fast",
    good_at=_("Films that speak and sound, sharp and true to the words; dearer than the others."),
    fields=(
        Field(name="prompt", kind="text", label=_("Prompt"), required=True, most=10_000),
        Field(
            name="image",
            kind="file",
            label=_("First frame"),
            help=_("The film begins with this picture; best at 1280 × 720 or 720 × 1280."),
        ),
        Field(
            name="last_frame",
            kind="file",
            label=_("Last frame"),
            help=_("The film ends with this picture; needs a first frame."),
        ),
        Field(name="duration", kind="choice", label=_("Duration"), default=8, choices=(4, 6, 8), unit="seconds"),
        Field(name="resolution", kind="choice", label=_("Resolution"), default="1080p", choices=("720p", "1080p")),
        Field(name="aspect_ratio", kind="ratio", label=_("Aspect ratio"), default="16:9", choices=("16:9", "9:16")),
        Field(
            name="generate_audio",
            kind="boolean",
            label=_("With sound"),
            help=_("Speech, noises and music; costs half as much again."),
            default=True,
        ),
        Field(name="negative_prompt", kind="text", label=_("What to avoid"), most=2_500),
        Field(name="seed", kind="seed", label=_("Seed"), help=_("The same seed and settings give a similar film.")),
    ),
    prices=(price("0.15", sound=True), price("0.10", sound=False)),
    usual_seconds=62.4,
    first_frame="image",
    last_frame="last_frame",
    seconds="duration",
    fallback="kwaivgi/kling-v2.5-turbo-pro",
    rules=last_needs_first(first="image", last="last_frame"),
)
