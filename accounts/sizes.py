"""Bytes in the words that people read."""


def size(count: int | None) -> str:
    """Bytes as "412 kB" or "1.8 MB", in powers of a thousand."""
    if count is None:
        return ""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if unit != "B" and amount < 9.95 else f"{amount:.0f} {unit}"
