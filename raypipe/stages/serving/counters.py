"""What a replica counted, as Prometheus reads it."""

from collections import defaultdict


class Counters:
    """Requests by model, version, way and status; time that answers took; what the log holds."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, str, int], int] = defaultdict(int)
        self._seconds: dict[tuple[str, str, str, int], float] = defaultdict(float)
        self._rows: dict[tuple[str, str], int] = defaultdict(int)

    def count(
        self, model: str, version: str, via: str, status: int, seconds: float, rows: int
    ) -> None:
        """Count a request that was answered, well or badly."""
        about = (model, version, via, status)
        self._requests[about] += 1
        self._seconds[about] += seconds
        if rows:
            self._rows[model, version] += rows

    def text(self, records: int, size: int) -> str:
        """Return all counts in Prometheus' text format."""
        lines = ["# TYPE raypipe_requests_total counter"]
        lines += [
            f"raypipe_requests_total{_labels(about)} {n}" for about, n in self._requests.items()
        ]
        lines.append("# TYPE raypipe_request_seconds_total counter")
        lines += [
            f"raypipe_request_seconds_total{_labels(about)} {seconds:.6f}"
            for about, seconds in self._seconds.items()
        ]
        lines.append("# TYPE raypipe_rows_total counter")
        lines += [
            f"raypipe_rows_total{{model={_quoted(m)},version={_quoted(v)}}} {n}"
            for (m, v), n in self._rows.items()
        ]
        lines += [
            "# TYPE raypipe_log_records_total counter",
            f"raypipe_log_records_total {records}",
            "# TYPE raypipe_log_bytes_total counter",
            f"raypipe_log_bytes_total {size}",
        ]
        return "\n".join(lines) + "\n"


def _labels(about: tuple[str, str, str, int]) -> str:
    model, version, via, status = about
    return (
        f"{{model={_quoted(model)},version={_quoted(version)},via={_quoted(via)},"
        f'status="{status}"}}'
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'
