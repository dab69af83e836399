"""Run benchmarks: the quick ones, or those named on the command line. Exits with 1 if a figure does not hold."""

from __future__ import annotations

import os
import sys
from importlib import import_module

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

from bench.figures import NotRunError, keep, keep_not_run

NAMES = (
    *("render", "decode", "masks", "orchestration", "annotations", "scoring", "legibility"),
    *("quality", "sweep", "asking", "answers", "rewards", "evaluate", "house", "walks"),
)
SLOW = ("reproduce", "track", "gpu", "scale", "scale_kills", "readme", "real_clips")
"""Only by name: some twenty minutes each, or a GPU."""


def main(names: list[str]) -> int:
    """Run the named benchmarks, keep their figures, and return the exit code."""
    holds = True
    for name in names or NAMES:
        try:
            figures = import_module(f"bench.{name}").run()
        except NotRunError as error:
            keep_not_run(name, str(error))
            continue
        keep(name, figures)
        holds &= all(figure.holds is not False for figure in figures)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
