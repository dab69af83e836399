"""The project's reader against decord: CPU time of sequential passes and of every 15th frame, and peak memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.figures import Figure, at_most, shared, told
from storage.common.environment import module_environment

FRAMES, WINDOW, STEP, ROUNDS = 200, 16, 15, 5
SUFFIXES = {".mp4", ".mkv", ".mov", ".webm"}


def read_ours(path: Path, indices: Sequence[int]) -> None:
    """Read frames by the project's reader, in windows."""
    from tasks.video.reader import Source, open_video

    video = open_video(Source(path.name, path))
    for first in range(0, len(indices), WINDOW):
        video.frames(indices[first : first + WINDOW])


def read_decord(path: Path, indices: Sequence[int]) -> None:
    """Read frames by decord, in windows."""
    import decord

    reader = decord.VideoReader(str(path), num_threads=1)
    for first in range(0, len(indices), WINDOW):
        reader.get_batch(list(indices[first : first + WINDOW])).asnumpy()


READERS: dict[str, Callable[[Path, Sequence[int]], None]] = {"ours": read_ours, "decord": read_decord}


def cpu_s(paths: Sequence[Path], step: int, name: str) -> float:
    """CPU seconds of one reader over the first frames of all files."""
    started = time.process_time()
    for path in paths:
        READERS[name](path, range(0, FRAMES, step))
    return time.process_time() - started


def ratio(paths: Sequence[Path], step: int) -> tuple[float, float]:
    """Least CPU seconds of the project's reader over decord's, in alternating rounds; and its own."""
    pairs = [(cpu_s(paths, step, "ours"), cpu_s(paths, step, "decord")) for _ in range(ROUNDS)]
    ours = min(pair[0] for pair in pairs)
    return ours / min(pair[1] for pair in pairs), ours


def peak_mb(path: Path, name: str) -> float:
    """Peak memory in MB of a process of its own that reads the frames of a file once."""
    command = [sys.executable, "-m", "bench.decode", name, str(path)]
    done = subprocess.run(command, env=module_environment(), capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def run() -> list[Figure]:
    """Measure on the four short clips, one decoder thread each."""
    import cv2

    cv2.setNumThreads(1)
    paths = sorted(path for path in shared("data", "videos").iterdir() if path.suffix in SUFFIXES)
    how = f"least of {ROUNDS} alternating rounds, {len(paths)} clips, {FRAMES} frames each, CPU time, 1 thread"
    sequential, ours_s = ratio(paths, 1)
    sparse, _ = ratio(paths, STEP)
    memory = max(peak_mb(path, "ours") / peak_mb(path, "decord") for path in paths)
    return [
        at_most("sequential pass / decord's", sequential, 1.0, how),
        told("sequential pass of all clips, CPU s", ours_s, how),
        told(f"every {STEP}th frame / decord's", sparse, how),
        at_most("peak memory of a process / decord's", memory, 1.0, "the largest of the clips' ratios"),
    ]


if __name__ == "__main__":
    READERS[sys.argv[1]](Path(sys.argv[2]), range(FRAMES))
    # Not ru_maxrss, which counts the memory of the process that started this one.
    [peak] = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    print(int(peak) / 1024)
