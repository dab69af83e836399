"""The commands of README and of the tutorials, run as they stand in a fresh clone with an empty home.

A fence ```` ```sh ```` or ```` ```python ```` without a title runs to its end; one titled `in another shell` is kept up until
its page ends; any other title names what it needs (a GPU, a cluster, ...), and it is not run. A page is one shell: what a
fence exports holds for the next. `path/to/videos` holds three videos of the sample.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bench.figures import Figure, at_least, told

ROOT = Path(__file__).resolve().parent.parent
PLACEHOLDER = "path/to/videos"
KEPT_UP = "in another shell"
READY = "Ctrl-C stops it"
"""What a command that is kept up says when it is up."""
_FENCE = re.compile(r'^```(sh|python)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Fence(NamedTuple):
    """A block of commands.

    Attributes:
        line: of the page on which it begins, from 1.
        language: sh or python.
        title: what it needs; empty where it runs anywhere.
        text: its commands.
    """

    line: int
    language: str
    title: str
    text: str


def fences(page: str) -> list[Fence]:
    """The blocks of a page's text, in its order."""
    return [Fence(page.count("\n", 0, m.start()) + 1, m[1], m[2] or "", m[3]) for m in _FENCE.finditer(page)]


def pages() -> list[Path]:
    """README first, since it installs; then the tutorials."""
    return [Path("README.md"), *sorted(p.relative_to(ROOT) for p in (ROOT / "docs" / "tutorials").glob("*.md"))]


def run() -> list[Figure]:
    """Follow every page; a fence that fails is told, and the next one is tried."""
    with tempfile.TemporaryDirectory(prefix="stvg-readme-") as folder:
        clone, home = Path(folder, "stvg"), Path(folder, "home")
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        return [figure for page in pages() for figure in follow(page, clone, home)]


def follow(page: Path, clone: Path, home: Path) -> list[Figure]:
    """Run the fences of a page of a clone; returns how many ran to their end, and the seconds that took."""
    every = [fence for fence in fences((clone / page).read_text(encoding="utf-8")) if fence.title in {"", KEPT_UP}]
    started, ran = time.monotonic(), 0
    with shell(clone, home) as run_in:
        for fence in every:
            print(f"--- {page}, line {fence.line}", flush=True)
            code = run_in(fence)
            print(f"--- {page}, line {fence.line}: exit code {code}", flush=True)
            ran += code == 0
    return [
        at_least(f"{page}: fences that ran to their end", ran, len(every), "a fresh clone, an empty home"),
        told(f"{page}: seconds", time.monotonic() - started, f"load {os.getloadavg()[0]:.1f}"),
    ]


@contextmanager
def shell(clone: Path, home: Path) -> Iterator[Callable[[Fence], int]]:
    """What runs a fence and returns its exit code; exports are carried over, what is kept up ends with the block."""
    exported, script, env = clone.parent / "exported.sh", clone.parent / "fence.sh", environment(home)
    exported.write_text("")
    kept: list[subprocess.Popen[str]] = []

    def run_in(fence: Fence) -> int:
        if PLACEHOLDER in fence.text:
            place_videos(clone)
        text = fence.text if fence.language == "sh" else f"python - <<'END_OF_FENCE'\n{fence.text}END_OF_FENCE\n"
        script.write_text(f"source {exported}\nset -v\n{text}set +v\nexport -p > {exported}\n", encoding="utf-8")
        bash: Any = partial(subprocess.Popen, ["bash", "-e", script], cwd=clone, env=env, stdin=subprocess.DEVNULL)
        if not fence.title:
            return int(bash().wait())
        kept.append(bash(stdout=subprocess.PIPE, text=True, start_new_session=True))
        return 0 if any(READY in line for line in kept[-1].stdout or ()) else 1

    try:
        yield run_in
    finally:
        for process in kept:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate()


def environment(home: Path) -> dict[str, str]:
    """What a new user has: a path without this project's environment, a home, and how packages are reached."""
    kept = {name: value for name, value in os.environ.items() if name in {"LANG", "TERM"} or name.startswith(("PIP_", "SSL_"))}
    path = [folder for folder in os.environ["PATH"].split(":") if not Path(folder).is_relative_to(ROOT)]
    return {**kept, "PATH": ":".join(path), "HOME": str(home)}


def place_videos(clone: Path) -> None:
    """Let `path/to/videos` be a folder with a.mp4, b.mp4 and c.mp4, the first videos of the sample."""
    folder = clone / PLACEHOLDER
    folder.mkdir(parents=True, exist_ok=True)
    made = sorted((clone / "datasets" / "sources").glob("*/videos/**/*.mp4"), key=lambda path: path.name)
    for name, source in zip("abc", made, strict=False):
        shutil.copyfile(source, folder / f"{name}.mp4")
