"""`python -m rl.learn`: train on generated clips, several seeds, by numbers and by coordinates, and write what came out."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.progress import track

from rl.learn.forms import FORMS
from rl.learn.report import write_report
from rl.learn.runs import QUICK, WHOLE, run


def main() -> None:
    """Make every run that is not kept yet, a core each, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m rl.learn", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS))
    parser.add_argument("--out", type=Path, default=Path("docs/results/learn"), help="folder of the report")
    parser.add_argument("--runs", type=Path, default=Path(".stvg/learn"), help="folder of finished runs, which are kept")
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    arguments = parser.parse_args()
    jobs = [(form, seed) for seed in range(arguments.seeds) for form in arguments.forms]
    budget = QUICK if arguments.quick else WHOLE
    workers = min(len(jobs), len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(run, form, seed, budget, arguments.runs) for form, seed in jobs]
        for done in track(as_completed(waiting), "runs, each some minutes", len(waiting)):
            record = done.result()
            print(
                f"{record['form']}, seed {record['seed']}: object named {record['marks']['after, seeing']['id_accuracy']:.2f}"
            )
        write_report([one.result() for one in waiting], arguments.out)
    print(f"{arguments.out}/README.md")


if __name__ == "__main__":
    main()
