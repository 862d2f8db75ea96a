#!/usr/bin/env python
"""Run a cycle as a Ray job: steps are tasks on the cluster that the job belongs to.

    ray job submit --working-dir . -- \\
        python scripts/submit_cycle.py configs/flights.yaml --home /shared/raypipe

The home must outlive the job, and lie where the head sees it: Ray's copy of the working directory
goes with the job. On a cluster of several nodes each must see it (`--set runtime.shared=true`).
Progress goes to the job's log, whose last line is the result as one JSON object, and the exit codes
are those of `raypipe run`: waiting for a review is success. After the review, submit it again.

It needs the installed package and nothing else of this repository: copy it into your own project.
"""

import argparse
import shlex
import signal
import sys
import traceback
from pathlib import Path

from raypipe.app.job import in_job
from raypipe.app.outcome import Outcome
from raypipe.app.request import RunRequest
from raypipe.cli.face import dump, error_record, fault, note, write
from raypipe.cli.live import Lines
from raypipe.cli.outcome import conclude
from raypipe.errors import Interrupted, RaypipeError, UsageError


def main() -> int:
    """Run the cycle, and end with its JSON line whatever happens."""
    asked = read_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what `ray job stop` sends
    try:
        outcome = run_cycle(asked)
    except RaypipeError as error:
        note(fault(error))
        return told(error, error.exit_code)
    except KeyboardInterrupt:
        return told(Interrupted("interrupted"), Interrupted.exit_code)
    except Exception as error:
        note(traceback.format_exc().rstrip())
        return told(error, 1)
    if outcome.error is not None:
        note(fault(outcome.error))
    return conclude(outcome, as_json=True, require_done=asked.require_done)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", help="settings file, as the working directory holds it")
    parser.add_argument("--home", type=Path, help="where results are kept; or RAYPIPE_HOME")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; repeatable"
    )
    parser.add_argument("--by", metavar="NAME", help="who runs this")
    parser.add_argument(
        "--require-done", action="store_true", help="exit with 3 if the run waits for a review"
    )
    return parser.parse_args()


def run_cycle(asked: argparse.Namespace) -> Outcome:
    if not in_job():
        raise UsageError(
            "this process is no Ray job",
            hint="submit it: ray job submit --working-dir . -- python scripts/submit_cycle.py …; "
            "or without a job: raypipe run FILE [--address HOST:PORT]",
        )
    from raypipe.app.run import run

    request = RunRequest(
        target=asked.settings,
        sets=tuple(asked.set),
        home=asked.home,
        runtime="ray",
        by=asked.by,
        command=shlex.join(
            ["ray", "job", "submit", "--working-dir", ".", "--", "python", *sys.argv]
        ),
    )
    return run(request, Lines())


def told(error: BaseException, code: int) -> int:
    write(dump(error_record(error, code)))
    return code


if __name__ == "__main__":
    sys.exit(main())
