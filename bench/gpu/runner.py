"""Parts in processes of their own: one that hangs or crashes costs only itself, and what it had measured is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from bench.figures import Figure, NotRunError
from bench.gpu import PARTS
from bench.gpu.machine import Machine, machine

MOST_SECONDS, MOST_SECONDS_PART = 480.0, 90.0
LEAST_SECONDS_PART = 15.0
"""A part for which less is left is not started."""

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Part:
    """A part of the report.

    Attributes:
        name: a key of `PARTS`.
        status: whether all of it was measured.
        reason: why not; empty if it was.
        seconds: of its process, imports included.
        figures: measured before it ended.
    """

    name: str
    status: Literal["complete", "timed out", "failed", "not run"]
    reason: str
    seconds: float
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Report:
    """All parts, and the machine on which they were measured."""

    machine: Machine
    parts: tuple[Part, ...]


def run_parts(names: Sequence[str], out: Path, dry: bool, seconds: float = MOST_SECONDS) -> Report:
    """Run parts one after another; `gpu.json` is written after each.

    Args:
        names: keys of `PARTS`.
        out: folder of `gpu.json` and of `gpu.log`, which holds the parts' output.
        dry: tiny shapes on a CPU.
        seconds: for all of them; what does not fit is not run.
    """
    out.mkdir(parents=True, exist_ok=True)
    end, about, parts = time.monotonic() + seconds, machine(), []
    for name in names:
        left = min(MOST_SECONDS_PART, end - time.monotonic())
        parts.append(_run(name, out / "gpu.log", dry, left))
        report = Report(about, tuple(parts))
        (out / "gpu.json").write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    return report


def _run(name: str, log: Path, dry: bool, seconds: float) -> Part:
    if seconds < LEAST_SECONDS_PART:
        return Part(name, "not run", "no time was left", 0.0, ())
    with tempfile.TemporaryDirectory() as folder, log.open("a") as output:
        file = Path(folder) / "part.json"
        command = [sys.executable, "-m", "bench.gpu", "--one", name, "--file", str(file), *(["--dry"] if dry else [])]
        print(f"== {name}", file=output, flush=True)
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
        took = round(time.monotonic() - start, 1)
        written = json.loads(file.read_text()) if file.is_file() else {"reason": "", "figures": []}
    figures = tuple(Figure(**one) for one in written["figures"])
    if code is None:
        return Part(name, "timed out", f"it had {seconds:.0f} s", took, figures)
    if code:
        return Part(name, "failed", written["reason"] or f"it ended with {code}", took, figures)
    return Part(name, "not run" if written["reason"] else "complete", written["reason"], took, figures)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_part(name: str, file: Path, dry: bool) -> None:
    """Run a part in this process and write its figures to `file`, which is whole after each.

    Raises:
        Exception: What the part raises, after it was written; `NotRunError` is only written.
    """
    figures: list[Figure] = []
    try:
        for figure in measure(name)(dry):
            figures.append(figure)
            print(f"{figure.figure}: {figure.measured:g} ({figure.how})", flush=True)
            _write(file, figures, "")
    except NotRunError as error:
        _write(file, figures, str(error))
    except Exception as error:
        _write(file, figures, f"{type(error).__name__}: {error}"[:500])
        raise


def measure(name: str) -> Callable[[bool], Iterator[Figure]]:
    """The function of a part."""
    module, function = PARTS[name].split(":")
    measuring: Callable[[bool], Iterator[Figure]] = getattr(import_module(module), function)
    return measuring


def _write(file: Path, figures: Sequence[Figure], reason: str) -> None:
    whole = file.with_suffix(".new")
    whole.write_text(json.dumps({"reason": reason, "figures": [asdict(figure) for figure in figures]}), encoding="utf-8")
    whole.replace(file)
