"""The only module that speaks Replicate."""


class ReplicateProvider:
    """An account at Replicate or at anything that speaks its API."""

    def __init__(self, *, name: str, base_url: str, token: str) -> None:
        self.name = name
