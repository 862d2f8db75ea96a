"""Each epoch hands out every row once, in an order of its own, however many workers share them."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raypipe.model.bounds import share_bounds
from raypipe.model.feed import TensorFeed
from raypipe.model.share import Share


def numbered(start: int, stop: int) -> Share:
    rows = torch.arange(start, stop)
    return Share(tensors={"x": rows.float()[:, None]}, label=rows.float())


def feeds(rows: int, workers: int, batch_size: int, seed: int = 0) -> list[TensorFeed]:
    bounds = share_bounds(rows, workers)
    sizes = tuple(stop - start for start, stop in bounds)
    return [
        TensorFeed(
            share=numbered(*bound), batch_size=batch_size, seed=seed, rank=rank, shares=sizes
        )
        for rank, bound in enumerate(bounds)
    ]


def handed_out(feed: TensorFeed, epoch: int = 1) -> list[int]:
    return [int(row) for batch in feed.epoch(epoch) if batch.weight is None for row in batch.label]


SIZES = {
    "rows": st.integers(1, 60),
    "workers": st.integers(1, 5),
    "batch_size": st.integers(1, 20),
}


@given(**SIZES)
def test_no_row_is_lost_and_none_comes_twice(rows, workers, batch_size):
    found = [row for feed in feeds(rows, workers, batch_size) for row in handed_out(feed)]

    assert sorted(found) == list(range(rows))


@given(**SIZES)
def test_all_workers_take_the_same_number_of_steps_with_no_batch_too_large(
    rows, workers, batch_size
):
    taken = [list(feed.epoch(1)) for feed in feeds(rows, workers, batch_size)]

    assert len({len(batches) for batches in taken}) == 1
    real = [b for batches in taken for b in batches if b.weight is None]
    assert all(1 <= len(b.label) <= batch_size for b in real)


@given(**SIZES)
def test_the_mean_of_the_workers_gradients_is_the_mean_over_the_rows_of_the_step(
    rows, workers, batch_size
):
    for step in zip(*(f.epoch(1) for f in feeds(rows, workers, batch_size)), strict=True):
        counted = sum(len(b.label) for b in step if b.weight is None)
        assert {b.divisor for b in step} == {counted / workers}


@given(rows=st.integers(2, 60), batch_size=st.integers(1, 20))
def test_batches_of_an_epoch_differ_by_at_most_a_row(rows, batch_size):
    """A last batch of one row would break batch normalisation."""
    sizes = [len(b.label) for b in feeds(rows, 1, batch_size)[0].epoch(1)]

    assert max(sizes) - min(sizes) <= 1


def test_a_worker_without_rows_takes_part_with_rows_that_count_nothing():
    lonely = feeds(2, 3, 4)[0]

    (batch,) = lonely.epoch(1)

    assert lonely.share.rows == 0
    assert batch.weight is not None
    assert batch.weight.sum() == 0
    assert batch.tensors["x"].shape == (2, 1)


def test_the_order_follows_from_seed_and_epoch_and_is_another_in_each():
    feed = feeds(50, 1, 7, seed=3)[0]

    assert handed_out(feed, 1) == handed_out(feed, 1)
    assert handed_out(feed, 1) != handed_out(feed, 2)
    assert handed_out(feed, 1) != handed_out(feeds(50, 1, 7, seed=4)[0], 1)
    assert handed_out(feed, 1) != list(range(50))


def test_a_row_keeps_its_label():
    for batch in feeds(20, 1, 6)[0].epoch(1):
        assert torch.equal(batch.tensors["x"][:, 0], batch.label)


@given(**SIZES, accumulate=st.integers(1, 4), taken=st.integers(0, 3))
def test_an_epoch_taken_up_at_a_step_hands_out_the_rest_of_it(
    rows, workers, batch_size, accumulate, taken
):
    for feed in feeds(rows, workers, batch_size):
        feed = replace(feed, accumulate=accumulate)
        begin = min(taken * accumulate, feed.batches)
        whole, rest = list(feed.epoch(2)), list(feed.epoch(2, begin))

        assert [b.label.tolist() for b in rest] == [b.label.tolist() for b in whole[begin:]]
        assert [b.divisor for b in rest] == [b.divisor for b in whole[begin:]]


@given(**SIZES, accumulate=st.integers(1, 4))
def test_the_batches_of_a_step_are_divided_by_the_rows_of_the_step(
    rows, workers, batch_size, accumulate
):
    made = [replace(one, accumulate=accumulate) for one in feeds(rows, workers, batch_size)]
    divisors, counts, last = [], [], []
    for batches in zip(*(feed.epoch(1) for feed in made), strict=True):
        counts.append(sum(len(b.label) for b in batches if b.weight is None))
        divisors.append({b.divisor for b in batches})
        last.append(batches[0].last)

    ends = [number + 1 for number, one in enumerate(last) if one]
    assert ends[-1] == len(last)
    for begin, end in zip([0, *ends], ends, strict=False):
        assert end - begin == accumulate or end == len(last)
        for found in divisors[begin:end]:
            assert list(found) == [pytest.approx(sum(counts[begin:end]) / workers)]


@given(**SIZES, ahead=st.integers(1, 200))
def test_rows_that_are_taken_many_at_once_are_the_same(rows, workers, batch_size, ahead):
    """As on a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("raypipe.model.feed.AHEAD", ahead)
        for feed in feeds(rows, workers, batch_size):
            order = torch.randperm(feed.share.rows)
            one, other = feed._taken(order), feed._taken_ahead(order)
            for number in range(feed.batches):
                assert one(number).label.tolist() == other(number).label.tolist()


def test_each_row_takes_its_weight_along():
    share = replace(numbered(0, 10), weight=torch.arange(10.0) * 2)
    for batch in TensorFeed(share=share, batch_size=3).epoch(1):
        assert batch.weight.tolist() == (batch.label * 2).tolist()
