"""The administrator's list of shares that were reached of limits, and of whether they were told."""

from django.contrib import admin

from accounts.admin_base import ReadOnly
from accounts.models import BudgetNotice


@admin.register(BudgetNotice)
class BudgetNoticeAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # takes none at run time
    """Entered and told by the work loop."""

    list_display = ("created_at", "scope", "period", "starts_on", "share", "detail", "mailed_at", "posted_at")
    list_filter = ("period", "unit", "threshold")
    search_fields = ("=scope",)
    search_help_text = "A whole scope: site, user:7, token:<id>, with sandbox/ before it for what was simulated."
    show_full_result_count = False

    @admin.display(ordering="threshold")
    def share(self, notice: BudgetNotice) -> str:
        """In percent, or where the month leads."""
        return f"{notice.threshold} %" if notice.threshold else "projection"
