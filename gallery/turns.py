"""One at a time for each owner, where rows are counted before another is made."""

from accounts.models import User


def wait_turn(owner_id: int) -> None:
    """Let nobody else who waits here count the owner's rows before this transaction ends; SQLite has one writer anyway.

    Comes before any lock of an asset, as in an upload, so that nobody waits in a circle.
    """
    User.objects.select_for_update(no_key=True).get(pk=owner_id)
