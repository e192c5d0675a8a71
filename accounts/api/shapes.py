"""What the calls about accounts answer, as the OpenAPI document has it."""

from typing import Any

from rest_framework import serializers

from accounts.models.tokens import SCOPES


class CountMeterSerializer(serializers.Serializer[Any]):
    """Generations; null where no limit is set."""

    limit = serializers.IntegerField(allow_null=True)
    settled = serializers.IntegerField()
    reserved = serializers.IntegerField()
    remaining = serializers.IntegerField(allow_null=True)


class MoneyMeterSerializer(serializers.Serializer[Any]):
    """USD as decimal strings; null where no limit is set."""

    limit = serializers.CharField(allow_null=True)
    settled = serializers.CharField()
    reserved = serializers.CharField()
    remaining = serializers.CharField(allow_null=True)


class UsagePeriodSerializer(serializers.Serializer[Any]):
    """One day or month."""

    count = CountMeterSerializer()
    usd = MoneyMeterSerializer()
    resetsAt = serializers.DateTimeField()


class StorageSerializer(serializers.Serializer[Any]):
    """What files take of the store; null where no limit is set."""

    limitBytes = serializers.IntegerField(allow_null=True)
    usedBytes = serializers.IntegerField()
    remainingBytes = serializers.IntegerField(allow_null=True)


class TokenUsageSerializer(serializers.Serializer[Any]):
    """Where the token that asks stands against limits of its own."""

    day = UsagePeriodSerializer()
    month = UsagePeriodSerializer()


class UsageSerializer(serializers.Serializer[Any]):
    """Where the caller stands against each limit."""

    day = UsagePeriodSerializer()
    month = UsagePeriodSerializer()
    storage = StorageSerializer()
    token = TokenUsageSerializer(required=False, help_text="Only where a token asks.")


class TokenLimitSerializer(serializers.Serializer[Any]):
    """Of one day or month; null where there is none."""

    count = serializers.IntegerField(allow_null=True)
    usd = serializers.CharField(allow_null=True)


class TokenLimitsSerializer(serializers.Serializer[Any]):
    """What the token may spend, beside the limits of its user."""

    day = TokenLimitSerializer()
    month = TokenLimitSerializer()


class TokenSerializer(serializers.Serializer[Any]):
    """A token, without what it is."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="Its first letters, to tell one from another.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES))
    createdAt = serializers.DateTimeField()
    expiresAt = serializers.DateTimeField(allow_null=True)
    lastUsedAt = serializers.DateTimeField(allow_null=True)
    limits = TokenLimitsSerializer()


class TokenMadeSerializer(TokenSerializer):
    """A new token."""

    token = serializers.CharField(help_text="What goes behind `Bearer`; it is shown once.")


class TokenPageSerializer(serializers.Serializer[Any]):
    """The newest first."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = TokenSerializer(many=True)
