"""Made-up creators with a month of believable work, to look at oversight and to measure it."""

from generation.demonstration.making import AlreadyThere, Plan, made_before, make

__all__ = ["AlreadyThere", "Plan", "made_before", "make"]
