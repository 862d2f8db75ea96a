"""What a watch says of the runs that it began."""

from raypipe.cli.commands_watch import _in_words


def test_of_a_run_that_ended_well_it_is_said_where_a_review_would_be() -> None:
    ended = {"event": "run_ended", "config": "a.yaml"}
    assert "`raypipe review list`" in _in_words({**ended, "exit": 0})
    assert _in_words({**ended, "exit": 4}) == "a.yaml ended with exit code 4"
