"""Scoring responses: how long it takes for ten thousand, as verl asks for them, one at a time."""

from __future__ import annotations

import time

import numpy as np

from bench.figures import Figure, at_most
from rl.rewards import REWARDS, Truth, compute_score
from rl.rewards.truth import read_truth

RESPONSES, GROUP = 10_000, 8
FRAMES, FPS, OBJECTS = 240, 30.0, 4
SECONDS = 1.0
_THOUGHT = "The man in the red coat stands up at about 4.1 seconds and walks to the door, so that object 3 is meant. " * 8


def run() -> list[Figure]:
    """Score by every reward: 1,250 truths of 240 frames and 4 objects, 8 responses of some 900 characters to each."""
    truths = [_truth(number).to_json() for number in range(RESPONSES // GROUP)]
    texts = [_response(number) for number in range(RESPONSES)]
    how = f"{len(truths)} truths of {FRAMES} frames, {GROUP} responses of {len(texts[0])} characters each, one process"
    return [
        at_most(f"CPU seconds to score 10,000 responses, {reward}", _seconds(texts, truths, reward), SECONDS, how)
        for reward in REWARDS
    ]


def _seconds(texts: list[str], truths: list[str], reward: str) -> float:
    read_truth.cache_clear()
    started = time.process_time()
    for number, text in enumerate(texts):
        compute_score("bench", text, truths[number // GROUP], reward=reward)
    return time.process_time() - started


def _truth(number: int) -> Truth:
    draws = np.random.default_rng(number)
    edges = tuple((round(frame / FPS, 6)) for frame in range(90, 90 + FRAMES + 1))
    ious = {i: tuple(draws.random(FRAMES).round(4).tolist()) for i in range(1, OBJECTS + 1)}
    return Truth((edges[0], edges[-1]), 3, visible=((1.0, 5.0), (6.0, 14.0)), edges_s=edges, ious=ious)


def _response(number: int) -> str:
    start = 2 + number % 40 / 10
    answer = f"Target ID: {1 + number % OBJECTS}, Time range: {start:.2f} to {start + 6:.2f}"
    return f"<think>{_THOUGHT}</think>\n<answer>{answer}</answer>"
