"""A stream hands out every row of the split once an epoch, in a seeded order, to any workers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from raypipe.config.training import MlpConfig, TrainingConfig
from raypipe.model.fit import Job, fit
from raypipe.model.streaming.stream import Stream, stream_of

SIZES = (53, 0, 7, 61)


class Fake:
    """A worker of a group, as far as a feed asks."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


@pytest.fixture
def stream(make_source) -> Stream:
    return stream_of(make_source(*SIZES))


def train_rows() -> list[int]:
    return [row for row in range(sum(SIZES)) if row % 5 in (0, 1, 3)]


def feeds(stream: Stream, workers: int, **settings):
    told = TrainingConfig(batch_size=8, **settings)
    return [stream.feed(told, Fake(rank, workers), torch.device("cpu")) for rank in range(workers)]


def handed_out(feed, epoch=1, begin=0) -> list[list[int]]:
    batches = feed.epoch(epoch, begin)
    return [b.tensors["dense"][:, 0].int().tolist() if b.weight is None else [] for b in batches]


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_no_row_is_lost_and_none_comes_twice_and_none_is_of_another_split(stream, workers):
    taken = [handed_out(feed) for feed in feeds(stream, workers)]

    assert sorted(row for one in taken for batch in one for row in batch) == train_rows()
    assert {len(one) for one in taken} == {feeds(stream, workers)[0].batches}
    own = [sum(map(len, one)) for one in taken]
    assert max(own) - min(own) <= 1


def test_the_order_is_another_one_each_epoch_and_the_same_for_the_same_seed(stream):
    (feed,) = feeds(stream, 1)

    assert handed_out(feed, 1) == handed_out(feed, 1)
    assert handed_out(feed, 1) != handed_out(feed, 2)
    assert handed_out(feed, 1) != handed_out(feeds(stream, 1, seed=3)[0], 1)


def test_epochs_that_are_read_in_one_go_are_those_that_are_read_one_by_one(stream):
    (feed,) = feeds(stream, 1, epochs=3)
    begun = []
    feed.read, read = lambda pieces: begun.append(len(pieces)) or read(pieces), feed.read

    found = [handed_out(feed, epoch) for epoch in (1, 2, 3)]

    assert begun == [3 * len(feed.pieces)]
    assert found == [handed_out(feeds(stream, 1)[0], epoch) for epoch in (1, 2, 3)]


def test_an_epoch_is_taken_up_at_a_batch(stream):
    (feed,) = feeds(stream, 1)

    assert handed_out(feed, 2, begin=3) == handed_out(feed, 2)[3:]


def test_a_small_buffer_mixes_and_loses_nothing(make_source):
    stream = Stream(**{**stream_of(make_source(*SIZES)).__dict__, "buffer": 10})

    taken = [row for batch in handed_out(*feeds(stream, 1)) for row in batch]

    assert sorted(taken) == train_rows()
    assert taken != train_rows()


def test_the_labels_are_those_of_the_rows(stream):
    (feed,) = feeds(stream, 1)
    for batch in feed.epoch(1):
        rows = batch.tensors["dense"][:, 0].int().numpy()
        assert np.array_equal(batch.label.numpy(), (rows % 7 < 3).astype(np.float32))


def test_a_training_killed_within_an_epoch_goes_on_to_the_same_bits(stream, tmp_path):
    def job(name):
        settings = TrainingConfig(
            model=MlpConfig(hidden=(4,)),
            epochs=2,
            batch_size=8,
            feed="stream",
            checkpoint={"steps": 2},
        )
        return Job(signature=stream.source.signature, settings=settings, folder=tmp_path / name)

    class Stopped(Exception):
        pass

    def stop(epoch, batches, of):
        if (epoch, batches) == (2, 5):
            raise Stopped

    held = stream.validation_share(0, 1)
    fit(job("whole"), stream, held)
    with pytest.raises(Stopped):
        fit(job("killed"), stream, held, on_batch=stop)
    fit(job("killed"), stream, held)

    one, other = job("whole").finished(), job("killed").finished()
    assert one.history == other.history
    assert all(map(torch.equal, one.weights.values(), other.weights.values()))


def test_of_labels_that_are_numbers_one_is_held_however_many_rows_there_are(make_source):
    source = make_source(*SIZES)
    label = replace(source.signature.label, name="x", task="regression", classes=())
    signature = replace(source.signature, label=label)
    numbers = replace(source.transform, signature=signature, label_type="double")
    assert stream_of(replace(source, transform=numbers)).labels.shape == (1,)


def test_rows_take_their_weights_along(make_source):
    source = make_source(*SIZES)
    signature = replace(source.signature, weight="x")
    weighed = replace(source, transform=replace(source.transform, signature=signature))

    (feed,) = feeds(stream_of(weighed), 1)

    for batch in feed.epoch(1):
        assert torch.equal(batch.weight, batch.tensors["dense"][:, 0])
