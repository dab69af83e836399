"""Run the parts, or one of them in this process."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.figures import RESULTS
from bench.gpu import PARTS
from bench.gpu.runner import MOST_SECONDS, run_part, run_parts
from bench.gpu.table import markdown


def main(arguments: list[str]) -> int:
    """Run what the arguments name; exits with 1 if a part of a whole run is not complete."""
    parser = argparse.ArgumentParser("bench/gpu.sh", description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu", help="folder of gpu.json and gpu.log")
    parser.add_argument("--seconds", type=float, default=MOST_SECONDS, help="for all parts")
    parser.add_argument("--dry", action="store_true", help="tiny shapes on a CPU")
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS), metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--one", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        run_part(chosen.one, chosen.file, chosen.dry)
        return 0
    report = run_parts(chosen.parts, chosen.out, chosen.dry, chosen.seconds)
    sys.stdout.write(markdown(report))
    return int(any(part.status == "failed" for part in report.parts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
