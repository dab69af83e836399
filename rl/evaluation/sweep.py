"""Combination of checkpoints, benchmarks, protocols and marker settings into the cells of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from rl.evaluation.cells import Cell
from rl.evaluation.protocols import protocol_named
from storage.common.errors import InputError


class SweepError(InputError):
    """A sweep that cannot be made; the message names what is wrong in it."""


def combined_cells(
    checkpoints: Sequence[str], benchmarks: Sequence[str], protocols: Sequence[str], markers: Sequence[str]
) -> list[Cell]:
    """Every combination, in the order given, each once; a protocol without markers has one cell for all marker settings.

    Args:
        checkpoints: names or folders of models.
        benchmarks: names or folders of datasets.
        protocols: names of protocols.
        markers: names of marker settings; an empty name is the dataset as built.

    Raises:
        ProtocolError: there is no such protocol.
        SweepError: there is no cell.
    """
    every = [
        Cell(checkpoint, benchmark, protocol, setting if protocol_named(protocol).marked else "")
        for checkpoint, benchmark, protocol, setting in product(checkpoints, benchmarks, protocols, markers)
    ]
    if not every:
        raise SweepError("a sweep needs at least one checkpoint, one benchmark, one protocol and one setting of markers")
    return list(dict.fromkeys(every))
