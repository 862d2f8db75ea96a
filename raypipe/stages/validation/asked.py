"""What requests are held to: the schema as it is in serving, of the columns that they can have."""

from collections.abc import Sequence

from raypipe.config.validation import ValidationConfig
from raypipe.stages.validation.columns import of_columns
from raypipe.stages.validation.judging import judged
from raypipe.values.feedback import Joined
from raypipe.values.profile import profile_table
from raypipe.values.schema import SERVING, Schema
from raypipe.values.validation import Anomaly


def check_asked(
    joined: Joined, schema: Schema, features: Sequence[str], settings: ValidationConfig
) -> tuple[Anomaly, ...]:
    """Return what of the rows that were asked breaks the schema; none where nothing was asked.

    A column that no version needs, and that no request gave, is not missed.
    """
    served, fields = schema.within(SERVING), joined.fields
    if not fields.num_rows:
        return ()
    given = [
        name
        for name in fields.column_names
        if served.column(name) is not None
        and (name in features or fields[name].null_count < fields.num_rows)
    ]
    expected = served.of_columns(given)
    found = of_columns(profile_table(fields.select(given)), expected, "the rows that were asked")
    return judged(found, expected, settings)[0]
