"""Figures of one GPU: the tracker, the vision tower, a step of the actor, log-probabilities and vLLM.

`bench/gpu.sh` runs every part in a process of its own, in at most eight minutes, without network. It needs torch, torchvision,
transformers, NumPy, OpenCV, PyArrow and rich, and the small packages sam2, hydra-core, omegaconf, iopath, portalocker,
antlr4-python3-runtime and pycocotools.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.figures import RESULTS, Figure, NotRunError

PARTS: Mapping[str, str] = {
    "tracker": "bench.gpu.tracker:plain",
    "pieces": "bench.gpu.pieces:figures",
    "agreement": "bench.gpu.agreement:figures",
    "vision": "bench.gpu.vision:figures",
    "actor": "bench.gpu.actor:figures",
    "logprobs": "bench.gpu.logprobs:figures",
    "vllm": "bench.gpu.engine:figures",
    "compile": "bench.gpu.tracker:compilation",
    "tracker_compiled": "bench.gpu.tracker:compiled",
    "official_compiled": "bench.gpu.tracker:official_compiled",
}
"""Name -> function of one argument, `dry`, that yields figures; in the order in which they run."""


def run() -> list[Figure]:
    """Measure everything, for `python -m bench gpu`.

    Raises:
        NotRunError: There is no GPU.
    """
    import torch

    from bench.gpu.runner import run_parts

    if not torch.cuda.is_available():
        raise NotRunError("it needs a CUDA GPU")
    report = run_parts(list(PARTS), Path(RESULTS) / "gpu", dry=False)
    return [figure for part in report.parts for figure in part.figures]
