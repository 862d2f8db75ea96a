"""What a version says must be what JSON can say."""

import numpy as np
import pytest

from raypipe.errors import UsageError
from raypipe.stages.serving.served import require_numbers


def test_scores_that_are_numbers_pass():
    require_numbers(np.array([0.0, 1.0], np.float32))
    require_numbers(np.empty((0, 3), np.float32))


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_the_first_row_without_a_number_is_named(strange):
    """A feature may be so large that the model's arithmetic ends in no number."""
    for scores in ([0.5, strange, strange], [[0.5, 0.5], [0.5, strange], [strange, 0]]):
        with pytest.raises(UsageError, match="row 1: the model's answer is no finite number"):
            require_numbers(np.array(scores, np.float32))
