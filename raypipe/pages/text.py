"""Text that comes from data, made fit to be read: short, and with nothing in it that is unseen."""

LONGEST = 2_000
"""Letters of any text that a page shows."""


def visible(text: str, most: int = LONGEST) -> str:
    r"""Shorten a text, and write what cannot be seen as an escape.

    Letters that turn the direction of writing (`\u202e`), have no width or move the cursor could
    make one value look like another.
    """
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    if short.isprintable():
        return short
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in short)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
