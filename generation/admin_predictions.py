"""Predictions in the admin: the list with its sums, and one with all that happened to it."""

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin_lists import BigList, Choice
from accounts.limits import SANDBOX
from accounts.models import User
from accounts.money import dollars, rounded
from accounts.templatetags.studio import short_model
from generation import admin_actions, catalog, errors
from generation.admin_timeline import pretty, story
from generation.models import Attempt, Prediction
from generation.states import UNFINISHED, Status

NOT_YET = "—"
PROVIDERS = (("replicate", "Replicate"), (SANDBOX, "Sandbox (simulated)"))


class StatusFilter(Choice):
    """Each state, and the two that an administrator looks for first."""

    title, parameter_name, column = "state", "status", "status"
    known = (("unfinished", "unfinished"), ("set_aside", "set aside"), *Status.choices)

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Rows that are set aside are due, and so few that the index of these finds them."""
        if value == "set_aside":
            return queryset.filter(due_at__isnull=False, quarantined_at__isnull=False)
        return queryset.filter(status__in=UNFINISHED) if value == "unfinished" else super().narrow(queryset, value)


class ModelFilter(Choice):
    """The catalog's models."""

    title, parameter_name, column = "model", "model", "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """By their titles."""
        return [(spec.id, f"{spec.title} ({spec.type})") for spec in catalog.all_models()]


class ProviderFilter(Choice):
    """Real money or simulated."""

    title, parameter_name, column, deep = "provider", "provider", "provider", True
    known = PROVIDERS


class ErrorFilter(Choice):
    """Why it did not come out."""

    title, parameter_name, column = "error", "error_code", "error_code"
    known = tuple((code, code.replace("_", " ")) for code in sorted(errors.SENTENCES))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """In the words of the index, which has only what went wrong."""
        return super().narrow(queryset, value).exclude(error_code="")


class CostFilter(Choice):
    """How the cost came about."""

    title, parameter_name = "cost", "cost"
    known = (("figures", "by the provider's figures"), ("estimate", "our estimate"), ("open", "still held"))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """What was released has no cost of either kind; what has none yet is due, and few enough for that index."""
        if value == "open":
            return queryset.filter(cost_micros=None, due_at__isnull=False)
        # SQLite finds a flag by index only where it is compared with something.
        return queryset.filter(cost_micros__gt=0, cost_estimated__in=[value == "estimate"])


@admin.register(Prediction)
class PredictionAdmin(BigList):
    """One prediction with everything that happened to it; what is done about it goes by actions."""

    change_form_template = "admin/generation/prediction/change_form.html"
    list_display = ("frame", "user", "made_with", "state", "estimate", "cost", "age", "asked_at")
    list_filter = (StatusFilter, ModelFilter, ErrorFilter, CostFilter, ProviderFilter)
    list_select_related = ("user",)
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    linked_by = ("user", "retry_of")
    sums = True
    search_fields = ("id",)
    search_help_text = (
        "The id of a prediction or an attempt, the provider's id, an account's name or e-mail, or a name with a frame "
        "number such as “ines 462”, each whole."
    )
    actions = (admin_actions.cancel, admin_actions.retry, admin_actions.store_again)
    fieldsets: ClassVar = (
        (None, {"fields": ("frame", "asker", "model", "state", "trouble", "retried_from")}),
        ("What was asked for", {"fields": ("prompt", "inputs", "warnings_given")}),
        ("Money", {"fields": ("estimate", "cost", "rules")}),
        (
            "Times and work",
            {
                "fields": (
                    ("created_at", "submitted_at"),
                    ("started_at", "completed_at"),
                    ("cancel_requested_at", "keep_waiting_until"),
                    ("due_at", "claims", "quarantined_at"),
                )
            },
        ),
    )

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Rows are not edited; who might, may use the actions."""
        return request.user.has_perm("generation.change_prediction")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Exact words, each found by an index."""
        term = search_term.strip()
        return (queryset.filter(_meant(term)) if term else queryset), False

    def totals(self, rows: QuerySet[Any]) -> list[str]:
        """Simulated money by itself."""
        sums = (
            rows.order_by()
            .values("provider")
            .annotate(
                number=Count("pk"),
                estimate=Sum("estimated_micros"),
                cost=Sum("cost_micros"),
                guessed=Sum("cost_micros", filter=Q(cost_estimated=True)),
                held=Sum("estimated_micros", filter=Q(cost_micros=None)),
            )
        )
        return [_total(row) for row in sums.order_by("provider")]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With attempts, files and the timeline below the figures."""
        prediction = self.get_object(request, object_id)
        told = {"story": story(prediction), "operations": self._operations(request)} if prediction else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **told})

    def _operations(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Name and words of the actions that may be used."""
        return [(name, str(action[2])) for name, action in self.get_actions(request).items() if action]

    @admin.display(description="frame")
    def frame(self, prediction: Prediction) -> str:
        """The number that its creator knows it by."""
        return f"{prediction.number}"

    @admin.display(description="user")
    def asker(self, prediction: Prediction) -> SafeString:
        """With a link to the account."""
        return linked(reverse("admin:accounts_user_change", args=[prediction.user_id]), str(prediction.user))

    @admin.display(description="model")
    def made_with(self, prediction: Prediction) -> str:
        """Without its maker, for whom a list has no room."""
        return short_model(prediction.model)

    @admin.display(description="asked for at")
    def asked_at(self, prediction: Prediction) -> str:
        """As short as it is clear."""
        return f"{timezone.localtime(prediction.created_at):%Y-%m-%d %H:%M}"

    @admin.display(description="state")
    def state(self, prediction: Prediction) -> str:
        """With what is out of the ordinary."""
        notes = [
            "set aside" if prediction.quarantined_at and prediction.due_at else "",
            "cancel asked for" if prediction.cancel_requested_at and prediction.status in UNFINISHED else "",
            prediction.error_code.replace("_", " "),
        ]
        return ", ".join([prediction.get_status_display().lower(), *filter(None, notes)])

    @admin.display(description="estimate")
    def estimate(self, prediction: Prediction) -> str:
        """What was reserved: the dearest that the inputs allow."""
        return dollars(prediction.estimated_micros)

    @admin.display(description="cost")
    def cost(self, prediction: Prediction) -> str:
        """What was booked; of what is estimated or simulated it says so."""
        if prediction.cost_micros is None:
            return NOT_YET
        notes = [
            *(["estimated"] if prediction.cost_estimated else []),
            *(["simulated"] if prediction.provider == SANDBOX else []),
        ]
        said = f" ({', '.join(notes)})" if notes else ""
        return f"{dollars(prediction.cost_micros)}{said}"

    @admin.display(description="age")
    def age(self, prediction: Prediction) -> str:
        """How long it took, or has taken so far."""
        end = prediction.completed_at or timezone.now()
        return length(end - prediction.created_at).replace(" ", "\N{NO-BREAK SPACE}")

    @admin.display(description="what went wrong")
    def trouble(self, prediction: Prediction) -> str:
        """Our sentence, and the provider's own words."""
        if not prediction.error_code:
            return "nothing"
        return f"{errors.sentence(prediction.error_code)} {prediction.error_message}".strip()

    @admin.display(description="retry of")
    def retried_from(self, prediction: Prediction) -> SafeString | str:
        """The prediction that this one repeats."""
        if prediction.retry_of_id is None:
            return "none"
        return linked(
            reverse("admin:generation_prediction_change", args=[prediction.retry_of_id]), str(prediction.retry_of)
        )

    @admin.display(description="inputs")
    def inputs(self, prediction: Prediction) -> SafeString:
        """As they were parsed; asset ids in place of files."""
        return raw({name: value for name, value in prediction.input.items() if name != "prompt"})

    @admin.display(description="warnings")
    def warnings_given(self, prediction: Prediction) -> str:
        """What the creator was told."""
        return " ".join(map(str, prediction.warnings)) or "none"

    @admin.display(description="prices in force then")
    def rules(self, prediction: Prediction) -> SafeString:
        """The rules that the prediction keeps."""
        return raw(prediction.quote.get("rules", []))


def _meant(term: str) -> Q:
    """The predictions that a search term names."""
    name, _, number = term.rpartition(" ")
    number = number.removeprefix("#")
    if name and number.isascii() and number.isdigit() and len(number) < 10:
        return Q(user__in=accounts_called(name.strip()), number=int(number))
    bound = Attempt.objects.filter(provider_id=term)
    try:
        wanted = UUID(term)
    except ValueError:
        ids = list(bound.values_list("prediction_id", flat=True))
        return Q(pk__in=ids) if ids else Q(user__in=accounts_called(term))
    attempts = bound | Attempt.objects.filter(pk=wanted)
    return Q(pk__in=[wanted, *attempts.values_list("prediction_id", flat=True)])


def accounts_called(name: str) -> list[int]:
    """The accounts that a name or an e-mail belongs to."""
    return list(User.objects.filter(Q(username=name) | Q(email__iexact=name)).values_list("pk", flat=True)[:10])


def _total(row: dict[str, Any]) -> str:
    """One provider's sums in words."""
    parts = [f"{row['number']:,} predictions", f"estimated {rounded(row['estimate'])}"]
    parts.append(f"booked {rounded(row['cost'] or 0)}")
    if row["guessed"]:
        parts.append(f"{rounded(row['guessed'])} of it by estimate")
    if row["held"]:
        parts.append(f"{rounded(row['held'])} still held")
    return f"{dict(PROVIDERS).get(row['provider'], row['provider'])}: {', '.join(parts)}"


def length(time: timedelta) -> str:
    """A stretch of time, "8 s", "3 min", "5 h" or "12 days"."""
    seconds = max(0, time.total_seconds())
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def linked(address: str, words: str) -> SafeString:
    """A link."""
    return format_html('<a href="{}">{}</a>', address, words)


def raw(value: Any) -> SafeString:
    """JSON as it is, escaped."""
    return format_html('<pre class="raw">{}</pre>', pretty(value) or NOT_YET)
