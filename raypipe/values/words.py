"""How many of a thing, as a person would write it."""


def amount(count: int, noun: str, plural: str = "") -> str:
    """Write how many: 1 row, 2,000 rows; `plural` is of what takes more than an s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
