"""Kill switches and caps in the admin: throw and lift a pause, bound what one model may have in flight."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin_base import Recorded
from accounts.models import User
from generation import catalog, pauses
from generation.models import ModelCap, Pause

MODELS = [(spec.id, f"{spec.title} ({spec.id})") for spec in catalog.all_models()]


REASON_WIDGETS = {"reason": forms.Textarea(attrs={"class": "vLargeTextField", "rows": 2})}
REASON_HELP = {"reason": "A sentence that creators read on their cards and when they are refused."}


class PauseForm(forms.ModelForm):
    """A new switch: what it is for, and why."""

    kind = forms.ChoiceField(
        label="Pause",
        choices=[("user", "One user"), ("model", "One model"), ("everything", "Everything")],
        widget=forms.RadioSelect,
    )
    user = forms.ModelChoiceField(
        User.objects.all(),
        to_field_name="username",
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="The user name, for one user.",
        error_messages={"invalid_choice": "There is no user of that name."},
    )
    model = forms.ChoiceField(choices=[("", "—"), *MODELS], required=False, help_text="For one model.")

    class Meta:
        model = Pause
        fields = ("reason",)
        widgets, help_texts = REASON_WIDGETS, REASON_HELP

    def clean(self) -> dict[str, Any]:
        """One thing is named, and it is not paused already."""
        cleaned: dict[str, Any] = super().clean() or {}
        kind, user, model = cleaned.get("kind"), cleaned.get("user"), cleaned.get("model")
        for name, given in (("user", user), ("model", model)):
            if name == kind and not given and name not in self.errors:
                self.add_error(name, f"Say which {name}.")
            if name != kind and given:
                self.add_error(name, f"Leave this empty, or choose to pause one {name}.")
        if self.errors:
            return cleaned
        self.instance.target = pauses.target_of(user_id=user.pk if user else None, model=model or "")
        if Pause.objects.filter(pk=self.instance.target).exists():
            raise ValidationError("This is paused already. Change the reason there, or delete it to lift the pause.")
        return cleaned


class ReasonForm(forms.ModelForm):
    """A switch that is thrown keeps its target; its reason may be put better."""

    class Meta:
        model = Pause
        fields = ("reason",)
        widgets, help_texts = REASON_WIDGETS, REASON_HELP


@admin.register(Pause)
class PauseAdmin(Recorded):
    """What is paused. Nothing of it is taken or sent; what runs goes on. Deleting a row lifts the pause."""

    list_display = ("what", "reason", "paused_at", "paused_by")
    list_select_related = ("paused_by",)
    search_fields = ("target", "reason")

    def get_form(self, request: HttpRequest, obj: Pause | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Another form for what is thrown already."""
        return super().get_form(request, obj, change, **{"form": ReasonForm if obj else PauseForm, **kwargs})

    def get_fields(self, request: HttpRequest, obj: Pause | None = None) -> tuple[str, ...]:
        """What was paused, by whom and when, is read afterwards."""
        return ("what", "reason", "paused_at", "paused_by") if obj else ("kind", "user", "model", "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Pause | None = None) -> tuple[str, ...]:
        """All but the reason."""
        return ("what", "paused_at", "paused_by") if obj else ()

    def save_model(self, request: HttpRequest, obj: Pause, form: Any, change: bool) -> None:
        """Note who and when."""
        if change:
            super().save_model(request, obj, form, change)
            return
        by = request.user if isinstance(request.user, User) else None
        try:
            made = pauses.pause(target=obj.target, reason=obj.reason, by=by, now=timezone.now())
        except pauses.AlreadyPaused:
            # Between the form's own look and this one.
            made = Pause.objects.get(pk=obj.target)
            self.message_user(request, f"It was paused a moment ago: {made.reason}", messages.WARNING)
        obj.paused_at, obj.paused_by = made.paused_at, made.paused_by

    @admin.display(description="paused", ordering="target")
    def what(self, pause: Pause) -> str:
        """The target in words."""
        return pauses.named(pause.target)


class ModelCapForm(forms.ModelForm):
    """How many of one model."""

    model = forms.ChoiceField(choices=MODELS)
    max_in_flight = forms.IntegerField(
        label="At the provider at a time",
        min_value=1,
        max_value=100_000,
        help_text="At least 1. To let nothing of a model out, pause it: then its creators read why.",
    )

    class Meta:
        model = ModelCap
        fields = ("model", "max_in_flight")

    def clean_model(self) -> str:
        """One cap for each model."""
        model: str = self.cleaned_data["model"]
        if ModelCap.objects.filter(pk=model).exists():
            raise ValidationError("This model has a cap already. Change that one.")
        return model


@admin.register(ModelCap)
class ModelCapAdmin(Recorded):
    """How many runs of a model may be in flight; a model without a row is bound by the general caps alone."""

    form = ModelCapForm
    list_display = ("model", "max_in_flight")

    def get_readonly_fields(self, request: HttpRequest, obj: ModelCap | None = None) -> tuple[str, ...]:
        """A cap keeps its model."""
        return ("model",) if obj else ()
