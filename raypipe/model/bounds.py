"""Where the parts of so many rows begin and end."""


def share_bounds(rows: int, workers: int) -> list[tuple[int, int]]:
    """Return each worker's rows as (start, stop): even to a row, none lost and none twice."""
    return [bounds_of(rows, rank, workers) for rank in range(workers)]


def bounds_of(rows: int, part: int, parts: int) -> tuple[int, int]:
    """Return where a part of so many parts begins and ends: even to a row."""
    return rows * part // parts, rows * (part + 1) // parts
