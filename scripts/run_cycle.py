#!/usr/bin/env python
"""Run a cycle from Python, and read what came of it: a driver to start your own from.

    python scripts/run_cycle.py                                    # configs/flights.yaml
    python scripts/run_cycle.py my.yaml training.epochs=12         # other settings
    ray job submit --working-dir . -- python scripts/run_cycle.py  # the same, as a Ray job

Where steps run is told by the settings (`runtime`); `.run(address="HOST:PORT")` names a cluster. A
job runs on the cluster that it belongs to, and needs RAYPIPE_HOME.
"""

import argparse
import sys

import raypipe
from raypipe.errors import RaypipeError


def main() -> int:
    asked = read_arguments()
    try:
        outcome = raypipe.load(asked.settings, *asked.sets).run()
    except RaypipeError as error:  # what stopped the run: the data, the verdict, a person, a step
        print(f"{type(error).__name__}: {error}", error.hint or "", sep="\n", file=sys.stderr)
        return error.exit_code

    executed = [step.name for step in outcome.steps if step.action == "execute"]
    print(f"run {outcome.run}: {outcome.status}, {len(executed)} of {len(outcome.steps)} executed")

    if outcome.status == "waiting":  # no process waits: after the decision, run this again
        for review in outcome.reviews:
            print(f"decide: raypipe review approve {review.id} --by NAME --note TEXT")
        return 0

    # `values` are Python objects; `outputs` is what JSON can say of them.
    version = outcome.values["version"]
    print(f"{version.model}@{version.version}, approved by {version.approved_by}")
    for metric, (value, low, high) in version.metrics.items():
        print(f"  {metric} {value:.4f} ({low:.4f} to {high:.4f})")
    print(f"report: {outcome.values['report']}")
    return 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "settings", nargs="?", default="configs/flights.yaml", help="settings file (%(default)s)"
    )
    parser.add_argument("sets", nargs="*", metavar="KEY=VALUE", help="a setting, over the file's")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
