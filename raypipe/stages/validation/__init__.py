"""What rows must be: a schema, the ways in which data breaks it, and whether that stops a run."""

from raypipe.stages.validation.deepchecks.steps import check_data, sample_shard
from raypipe.stages.validation.report.steps import report_data, report_look, report_rows
from raypipe.stages.validation.schema_text import (
    schema_changes,
    schema_from_yaml,
    schema_to_yaml,
)
from raypipe.stages.validation.stage import (
    admit,
    infer,
    search_rows,
    trace_shard,
    validate,
    validate_asked,
)

__all__ = [
    "admit",
    "check_data",
    "infer",
    "report_data",
    "report_look",
    "report_rows",
    "sample_shard",
    "schema_changes",
    "schema_from_yaml",
    "schema_to_yaml",
    "search_rows",
    "trace_shard",
    "validate",
    "validate_asked",
]
