"""Which evaluations a sweep is made of, how far each has come, and how long the rest will take by what was measured before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from rl.evaluation.protocols import protocol_named
from rl.evaluation.run import Evaluation, kept_store, left_to_ask, predictions
from storage.common.errors import InputError
from storage.folders.open import folder_at
from storage.stages import STAGE, StageStore


class SweepError(InputError):
    """A sweep that cannot be made; the message names what is wrong in it."""


class Cell(NamedTuple):
    """One evaluation of a sweep: who is asked what, how, and by which markers; `markers` is empty for the dataset as built."""

    checkpoint: str
    benchmark: str
    protocol: str
    markers: str = ""


def cells(
    checkpoints: Sequence[str], benchmarks: Sequence[str], protocols: Sequence[str], markers: Sequence[str]
) -> list[Cell]:
    """Every cell, in the order given, each once; where frames carry no markers, one stands for all settings.

    Raises:
        ProtocolError: there is no such protocol.
        SweepError: nothing is left to ask.
    """
    every = [
        Cell(checkpoint, benchmark, protocol, setting if protocol_named(protocol).marked else "")
        for checkpoint, benchmark, protocol, setting in product(checkpoints, benchmarks, protocols, markers)
    ]
    if not every:
        raise SweepError("a sweep needs at least one checkpoint, one benchmark, one protocol and one setting of markers")
    return list(dict.fromkeys(every))


@dataclass(frozen=True)
class Standing:
    """How far an evaluation has come.

    Attributes:
        key: of its predictions; empty while its dataset is not rendered.
        samples: in all; None while that is not known.
        left: of them still to be asked.
        seconds: that these will take; None where nothing like it was measured.
        why: it cannot run; empty if it can.
    """

    key: str = ""
    samples: int | None = None
    left: int | None = None
    seconds: float | None = None
    why: str = ""

    @property
    def to_render(self) -> bool:
        """Whether its dataset is to be rendered before more can be said."""
        return not self.key and not self.why

    @property
    def done(self) -> bool:
        """Whether a run would ask nothing."""
        return self.left == 0


def standing(evaluation: Evaluation, identity: Mapping[str, Any]) -> Standing:
    """How far an evaluation by an engine of this identity has come; nothing is loaded or asked.

    Raises:
        ProtocolError: the dataset holds nothing that the protocol asks.
    """
    store = evaluation.store_of(identity)
    samples, left = len(evaluation.samples()), left_to_ask(evaluation, store)
    rate = seconds_per_sample(evaluation, identity) if left else 0.0
    return Standing(store.spec.key, samples, left, None if rate is None else rate * left)


def seconds_per_sample(evaluation: Evaluation, identity: Mapping[str, Any]) -> float | None:
    """Mean seconds that a sample took by the same protocol and an engine of this identity; None if none was asked before.

    Earlier predictions are looked for in the evaluation's folder. A batch's samples share its time.
    """
    asked, seconds = 0, 0.0
    for store in _earlier(evaluation):
        params = store.spec.params
        if params["engine"] == dict(identity) and params["protocol"] == evaluation.protocol.name:
            rows = [row["seconds"] for row in predictions(store) if not row["failed"]]
            shared = 1 if params["engine"]["engine"] == "openai" else params["batch_size"]
            asked, seconds = asked + len(rows), seconds + sum(rows) / min(shared, max(1, len(rows)))
    return seconds / asked if asked else None


def _earlier(evaluation: Evaluation) -> Iterator[StageStore]:
    """Predictions that are kept in the evaluation's folder."""
    folder = folder_at(evaluation.folder)
    for listed in folder.files():
        key, _, name = listed.name.partition("/")
        if name == STAGE and key.startswith("predictions-"):
            yield kept_store(f"{folder}/{key}")
