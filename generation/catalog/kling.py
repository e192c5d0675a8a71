"""Kuaishou's Kling 2.5 Turbo Pro: short films (https://replicate.com/kwaivgi/kling-v2.5-turbo-pro)."""

from django.utils.translation import gettext_noop as _

from generation.catalog.base import Field, ModelSpec, PriceRule, last_needs_first

# `image` is a deprecated alias of `start_image`, and `guidance_scale` has no effect; both are left out. No median of
# its run time is published: the figure is a cautious guess.
KLING_2_5_TURBO_PRO = ModelSpec(
    id="kwaivgi/kling-v2.5-turbo-pro",
    type="video",
    title="Kling 2.5 Turbo Pro",
    good_at=_("Strong, believable motion and camera work, between a first and a last frame if you like."),
    fields=(
        Field(name="prompt", kind="text", label=_("Prompt"), required=True, most=10_000),
        Field(name="start_image", kind="file", label=_("First frame"), help=_("The film begins with this picture.")),
        Field(
            name="end_image",
            kind="file",
            label=_("Last frame"),
            help=_("The film ends with this picture; needs a first frame."),
        ),
        Field(name="duration", kind="choice", label=_("Duration"), default=5, choices=(5, 10), unit="seconds"),
        Field(
            name="aspect_ratio",
            kind="ratio",
            label=_("Aspect ratio"),
            help=_("With a first frame the film takes that picture's shape."),
            default="16:9",
            choices=("16:9", "9:16", "1:1"),
            ignored_with="start_image",
        ),
        Field(name="negative_prompt", kind="text", label=_("What to avoid"), default="", most=2_500),
    ),
    prices=(
        PriceRule(
            unit="second", usd="0.07", effective_from="2025-11-01", source="Replicate's model page, read 2026-10-06"
        ),
    ),
    usual_seconds=120,
    first_frame="start_image",
    last_frame="end_image",
    seconds="duration",
    fallback="bytedance/seedance-1-lite",
    rules=last_needs_first(first="start_image", last="end_image"),
)
