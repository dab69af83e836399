"""Every benchmark that is read from files, by name: each line makes a command, a form and a deployment."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.benchmarks.charades import CharadesSource
from tasks.benchmarks.folder import FolderSource
from tasks.benchmarks.hcstvg import HcstvgSource, HcstvgV1Source, HcstvgV2Source
from tasks.benchmarks.mevis import MevisSource
from tasks.benchmarks.own import OwnSource
from tasks.benchmarks.source import BenchmarkSource
from tasks.benchmarks.st_align import StAlignStvgSource, StAlignSvgSource
from tasks.benchmarks.stvg_r1_train import StvgR1TrainSource
from tasks.benchmarks.tvgbench import TvgbenchSource
from tasks.benchmarks.videoocr import VideoocrSource
from tasks.benchmarks.vidstg import VidstgSource

SOURCES: Mapping[str, type[BenchmarkSource]] = {
    source.benchmark: source
    for source in (
        FolderSource,
        OwnSource,
        HcstvgSource,
        HcstvgV1Source,
        HcstvgV2Source,
        VidstgSource,
        StAlignStvgSource,
        StAlignSvgSource,
        MevisSource,
        CharadesSource,
        TvgbenchSource,
        VideoocrSource,
        StvgR1TrainSource,
    )
}
"""Name of a benchmark -> its source model."""
