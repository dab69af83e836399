"""A tiny model after half a minute of school: it answers in the form that rewards read, and knows nothing.

What a training of it is worth: rewards differ from answer to answer, so that advantages, gradients and weights are real.
"""

from __future__ import annotations

import io
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from rl.engines.base import Request, VisualInput
from rl.engines.inputs import append_answer, load_processor, prepare_batch
from rl.models.families import Model
from rl.prompts.templates import prompt_named
from storage.folders.files import replacing_folder

LESSONS = 250
RATE = 3e-3
_SAID = "<think>{i}</think><answer>Target ID: {i}, Time range: {s} to {e}</answer><|im_end|>"
_SENTENCES = ("It moves.", "The man in red turns and walks to the left.", "A dog.", "She opens the door, then sits down.")
_CLIPS, _FRAMES, _SIZE = 24, (2, 13), (252, 168)
"""Clips, how many frames they have (from, below), and their size."""
_NOT_THE_MODELS = {"second_per_grid_ts", "mm_token_type_ids"}


def make_schooled(folder: Path, model: Model, seed: int = 0) -> Path:
    """Teach a tiny model the form of an answer, with IDs and times at random; whole or not at all.

    Args:
        folder: which must not exist yet, or holds a schooled model already and is left alone.
        model: a tiny one of the family `qwen2.5-vl`; it stays as it is.
        seed: of what it is taught.
    """
    if (folder / "config.json").is_file():
        return folder
    import torch

    assert model.weights is not None
    library: Any = import_module("transformers")
    processor, draws = load_processor(model), np.random.default_rng(seed)
    pupil = library.AutoModelForImageTextToText.from_pretrained(model.weights.path, use_safetensors=True)
    optimizer = torch.optim.AdamW(pupil.parameters(), RATE)
    prompts = [prompt_named(name).messages(sentence) for name in ("figure-5", "figure-7") for sentence in _SENTENCES]
    asked = [Request("", prompts[n % len(prompts)], _patches(draws)) for n in range(_CLIPS)]
    batches = [dict(prepare_batch(processor, model.family, pupil.config, [one])) for one in asked]
    for lesson in range(LESSONS):
        answer = _SAID.format(i=draws.integers(1, 4), s=draws.integers(0, 2), e=draws.integers(2, 5))
        optimizer.zero_grad()
        _loss(pupil, batches[lesson % _CLIPS], processor.tokenizer(answer, return_tensors="pt")["input_ids"]).backward()
        torch.nn.utils.clip_grad_norm_(pupil.parameters(), 1.0)
        optimizer.step()
    with replacing_folder(folder) as temporary:
        pupil.save_pretrained(temporary)
        processor.save_pretrained(temporary)
    return folder


def _loss(pupil: Any, batch: dict[str, Any], said: Any) -> Any:
    """Of an answer to the prompt of a batch of one."""
    import torch

    inputs = {name: value for name, value in append_answer(batch, said, pupil.config).items() if name not in _NOT_THE_MODELS}
    return torch.nn.functional.cross_entropy(pupil(**inputs).logits[0, -1 - said.shape[1] : -1], said[0])


def _patches(draws: np.random.Generator) -> VisualInput:
    """A clip of coloured patches, of any contrast from none on: what is seen is to make no difference."""
    from PIL import Image

    frames = []
    for _ in range(draws.integers(*_FRAMES)):
        grey, contrast = draws.integers(0, 255), draws.uniform(0, 1)
        patches = draws.integers(0, 255, (_SIZE[1] // 14, _SIZE[0] // 14, 3)) * contrast + grey * (1 - contrast)
        buffer = io.BytesIO()
        Image.fromarray(patches.astype(np.uint8)).resize(_SIZE, Image.Resampling.NEAREST).save(buffer, "JPEG")
        frames.append(buffer.getvalue())
    return VisualInput(tuple(frames), _SIZE, 2.0)
