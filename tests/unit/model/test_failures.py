"""What a batch raised, as a sentence with its place and the next step."""

import pytest
import torch

from raypipe.model.failures import Place, as_failure

AT = Place(epoch=2, batch=3, batches=4, rank=1, workers=2)


@pytest.mark.parametrize(
    "ask",
    [lambda: bytearray(2**60), lambda: torch.zeros(2**50)],
    ids=["of Python", "of torch"],
)
def test_memory_that_there_is_not_is_told_as_such(ask):
    with pytest.raises((MemoryError, RuntimeError)) as raised:
        ask()
    told = as_failure(raised.value, AT, "25 rows")
    said = "training ran out of memory at epoch 2, batch 3 of 4 on worker 1 of 2 (25 rows): "
    assert str(told).startswith(said)
    assert "lower training.batch_size" in str(told.hint)


def test_what_the_model_raised_is_told_with_its_frames():
    with pytest.raises(ValueError, match="no such road") as raised:
        raise ValueError("no such road")
    told = as_failure(raised.value, AT, "25 rows")
    assert "raised ValueError at epoch 2, batch 3 of 4 on worker 1 of 2 (25 rows)" in str(told)
    assert "test_failures.py" in told.frames
