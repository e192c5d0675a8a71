"""Who may spend: users, their invitations, tokens and limits, the ledger, and what is counted from it."""

from accounts.models.cache import CacheRow
from accounts.models.ledger import DailySpend, LedgerEntry, MonthlySpend
from accounts.models.limits import LimitIncrease, QuotaPeriod, StorageUse
from accounts.models.news import Alert, BudgetNotice
from accounts.models.tokens import ApiToken
from accounts.models.users import (
    Invitation,
    User,
    default_daily_count,
    default_daily_micros,
    default_monthly_count,
    default_monthly_micros,
    default_storage_bytes,
)

__all__ = [
    "Alert",
    "ApiToken",
    "BudgetNotice",
    "CacheRow",
    "DailySpend",
    "Invitation",
    "LedgerEntry",
    "LimitIncrease",
    "MonthlySpend",
    "QuotaPeriod",
    "StorageUse",
    "User",
    "default_daily_count",
    "default_daily_micros",
    "default_monthly_count",
    "default_monthly_micros",
    "default_storage_bytes",
]
