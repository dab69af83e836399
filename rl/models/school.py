"""Fine-tunes a tiny model on the answer format, with random IDs and times.

Trainings on a CPU start from it: its responses can be parsed and their rewards differ, so that advantages and gradients are
not zero.
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
from storage.folders.files import atomic_folder

STEPS = 250
LEARNING_RATE = 3e-3
_RESPONSE = "<think>{i}</think><answer>Target ID: {i}, Time range: {s} to {e}</answer><|im_end|>"
_SENTENCES = ("It moves.", "The man in red turns and walks to the left.", "A dog.", "She opens the door, then sits down.")
_CLIPS, _FRAMES, _SIZE = 24, (2, 13), (252, 168)
"""Number of clips, range of their frame counts (half-open), and (width, height) in pixels."""
_NOT_MODEL_INPUTS = {"second_per_grid_ts", "mm_token_type_ids"}


def make_schooled(folder: Path, model: Model, seed: int = 0) -> Path:
    """Fine-tune a tiny model and save it, as a whole or not at all; about 30 s on one core.

    Args:
        folder: Folder of the new model; a model that is there already is kept.
        model: A tiny model of the family `qwen2.5-vl`; it is not changed.
        seed: Seed of clips and answers.
    """
    if (folder / "config.json").is_file():
        return folder
    import torch

    assert model.weights is not None
    library: Any = import_module("transformers")
    processor, draws = load_processor(model), np.random.default_rng(seed)
    student = library.AutoModelForImageTextToText.from_pretrained(model.weights.path, use_safetensors=True)
    optimizer = torch.optim.AdamW(student.parameters(), LEARNING_RATE)
    prompts = [prompt_named(name).messages(sentence) for name in ("figure-5", "figure-7") for sentence in _SENTENCES]
    requests = [Request("", prompts[n % len(prompts)], _patches(draws)) for n in range(_CLIPS)]
    batches = [dict(prepare_batch(processor, model.family, student.config, [request])) for request in requests]
    for step in range(STEPS):
        answer = _RESPONSE.format(i=draws.integers(1, 4), s=draws.integers(0, 2), e=draws.integers(2, 5))
        optimizer.zero_grad()
        _loss(student, batches[step % _CLIPS], processor.tokenizer(answer, return_tensors="pt")["input_ids"]).backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
    with atomic_folder(folder) as temporary:
        student.save_pretrained(temporary)
        processor.save_pretrained(temporary)
    return folder


def _loss(student: Any, batch: dict[str, Any], answer: Any) -> Any:
    """Cross-entropy of an answer's tokens, int64 (1, length), after the prompt of a batch of one."""
    import torch

    inputs = {
        name: value for name, value in append_answer(batch, answer, student.config).items() if name not in _NOT_MODEL_INPUTS
    }
    return torch.nn.functional.cross_entropy(student(**inputs).logits[0, -1 - answer.shape[1] : -1], answer[0])


def _patches(draws: np.random.Generator) -> VisualInput:
    """A clip of coloured patches of random contrast, so that the answers do not depend on what the frames show."""
    from PIL import Image

    frames = []
    for _ in range(draws.integers(*_FRAMES)):
        grey, contrast = draws.integers(0, 255), draws.uniform(0, 1)
        patches = draws.integers(0, 255, (_SIZE[1] // 14, _SIZE[0] // 14, 3)) * contrast + grey * (1 - contrast)
        buffer = io.BytesIO()
        Image.fromarray(patches.astype(np.uint8)).resize(_SIZE, Image.Resampling.NEAREST).save(buffer, "JPEG")
        frames.append(buffer.getvalue())
    return VisualInput(tuple(frames), _SIZE, 2.0)
