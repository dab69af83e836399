"""Script of a sample clip: figures, their appearance and their actions over time.

Positions are pixels of the clip, times are frame indices. x is the centre of a figure, `feet_y` the row it stands on; figures
lower in the frame are nearer and occlude others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.sample.appearance import Appearance, choose_appearances

SECONDS = 20
"""Duration of a clip: readers of HC-STVG take img_num / 20 as the frame rate."""


@dataclass(frozen=True)
class SampleConfig:
    """Parameters of the sample; equal values give equal bytes.

    Attributes:
        videos: number of valid clips.
        fps: frames per second; a clip lasts `SECONDS`.
        width, height: pixels of a frame, both even.
        seed: seed of all randomness.
        broken: whether unreadable files are written too, one for each kind of defect.
    """

    videos: int = 20
    fps: int = 10
    width: int = 384
    height: int = 216
    seed: int = 0
    broken: bool = True

    @property
    def frames(self) -> int:
        """Number of frames of a clip."""
        return SECONDS * self.fps


@dataclass(frozen=True)
class Action:
    """Action of a figure on frames [start, stop), while it moves from x0 to x1."""

    kind: str
    start: int
    stop: int
    x0: float
    x1: float

    def x(self, frame: float) -> float:
        """Position of the figure on a frame."""
        return self.x0 + (self.x1 - self.x0) * (frame - self.start) / (self.stop - self.start)


@dataclass(frozen=True)
class Figure:
    """A person in a clip. `steps` are consecutive actions; the figure is absent outside them."""

    look: Appearance
    tall: float
    feet_y: float
    steps: tuple[Action, ...]

    def step_at(self, frame: int) -> Action | None:
        """Action of the figure on a frame; None if it is absent."""
        return next((s for s in self.steps if s.start <= frame < s.stop), None)

    def x_at(self, frame: int) -> float | None:
        """Position of the figure on a frame; None if it is absent."""
        step = self.step_at(frame)
        return None if step is None else step.x(frame)


@dataclass(frozen=True)
class Scene:
    """A clip: its figures in the order of discovery (largest first, then by time of entry) and its camera.

    Attributes:
        figures: figures of the clip.
        pan: speed of the background, pixels per frame, lower than walking speed.
        seed: seed of the background.
    """

    figures: tuple[Figure, ...]
    pan: float
    seed: tuple[int, ...]

    def occluded_frames(self, k: int, step: Action) -> int:
        """Number of frames of an action on which a nearer figure occludes the centre of figure `k`.

        Args:
            k: 0-based number of the figure.
            step: step of its script.
        """
        me = self.figures[k]
        nearer = [f for f in self.figures if f.feet_y > me.feet_y]
        return sum(
            any((x := f.x_at(frame)) is not None and abs(x - step.x(frame)) < 0.12 * f.tall for f in nearer)
            for frame in range(step.start, step.stop)
        )


def make_scene(index: int, attempt: int, count: int, config: SampleConfig) -> Scene:
    """Script of clip `index` with `count` figures; another `attempt` gives another script.

    Args:
        index: 0-based number of the clip.
        attempt: number of earlier scripts of this clip.
        count: number of figures.
        config: seed, size and rate.
    """
    rng = np.random.default_rng([config.seed, index, attempt])
    late = int(rng.integers(1, count - 1)) if count > 2 else 0
    slots = rng.permutation(np.linspace(0.12, 0.88, count - late)) * config.width
    lanes = rng.permutation(np.linspace(0.80, 0.97, count)) * config.height
    figures = []
    for k, look in enumerate(choose_appearances(rng, count)):
        # Nearer figures are taller on average, with individual differences.
        tall = (lanes[k] / config.height * 0.62 + rng.uniform(-0.12, -0.02)) * config.height
        start_x = float(slots[k]) if k < count - late else None
        figures.append(Figure(look, float(tall), float(lanes[k]), _steps(rng, start_x, config)))
    figures.sort(key=lambda f: (f.steps[0].start, -f.tall))
    pan = float(rng.choice([-1, 1]) * rng.uniform(0.06, 0.085) * config.width / config.fps / 4)
    return Scene(tuple(figures), pan, (config.seed, index, attempt))


def _steps(rng: np.random.Generator, x: float | None, config: SampleConfig) -> tuple[Action, ...]:
    """Actions of a figure; a figure without an initial position (`x` None) enters later."""
    steps: list[Action] = []
    now = 0
    if x is None:
        now = int(rng.integers(config.frames // 8, config.frames // 2))
        side = -0.12 if rng.random() < 0.5 else 1.12
        step = _walk(rng, now, side * config.width, float(rng.uniform(0.25, 0.75)) * config.width, "enter", config)
        steps, now, x = [step], step.stop, step.x1
    while now < config.frames:
        step = _next_step(rng, now, x, steps[-1].kind if steps else "", config)
        steps.append(step)
        now, x = step.stop, step.x1
        if step.kind.startswith("leave"):
            break
    return tuple(steps)


def _next_step(rng: np.random.Generator, now: int, x: float, last: str, config: SampleConfig) -> Action:
    left, width = config.frames - now, config.width
    moved = last.startswith(("walk", "enter"))
    if not moved and left < 0.4 * config.frames and rng.random() < 0.5:
        return _walk(rng, now, x, (-0.12 if x < width / 2 else 1.12) * width, "leave", config)
    if not moved and rng.random() < 0.75:
        goal = float(rng.uniform(0.1, 0.9)) * width
        if abs(goal - x) < 0.25 * width:
            goal = x + 0.4 * width if x < width / 2 else x - 0.4 * width
        return _walk(rng, now, x, goal, "walk", config)
    kinds = [k for k in ("stand", "wave", "jump", "bend") if k != last]
    kind = str(rng.choice(kinds))
    length = int(rng.uniform(1.5, 2.5 if kind == "stand" else 4.0) * config.fps)
    return Action(kind=kind, start=now, stop=now + length, x0=x, x1=x)


def _walk(rng: np.random.Generator, now: int, x0: float, x1: float, kind: str, config: SampleConfig) -> Action:
    speed = rng.uniform(0.055, 0.09) * config.width / config.fps
    side = "left" if (x1 < x0) != (kind == "enter") else "right"
    return Action(kind=f"{kind}_{side}", start=now, stop=now + max(4, int(abs(x1 - x0) / speed)), x0=x0, x1=x1)
