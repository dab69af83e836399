"""What verl's agent loop makes of a row: the tokens, positions, pixels and times of every other engine of the project."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rl.engines.base import Request, VisualInput
from rl.engines.inputs import prepare_batch, video_metadata, vllm_options
from rl.models.families import Model
from rl.prompts.templates import prompt_named
from rl.training.row_schema import ROW_SCHEMA
from rl.training.rows import data_section, write_rows
from rl.training.selection import RowsError, RowSettings
from rl.verl.positions import rope_index
from storage.reader import Dataset

pytestmark = pytest.mark.heavy

RATES = [2.0, 1.0, 1.902, 4.0, 29.97]
PROMPT, ANSWER = 1024, 32


def config(path: Path) -> Any:
    from omegaconf import OmegaConf

    rollout = {"prompt_length": PROMPT, "response_length": ANSWER, "full_determinism": False}
    return OmegaConf.create({"data": data_section([path], [path], PROMPT), "actor_rollout_ref": {"rollout": rollout}})


def verl_processor(model: Model) -> Any:
    """A processor as verl makes it in each of its workers."""
    from verl.utils.tokenizer import hf_processor

    assert model.weights is not None
    return hf_processor(str(model.weights.path))


def row_of(asked: Request, path: Path) -> dict[str, Any]:
    """A request as verl gets it: written as a training row and read back."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from rl.training.verl_dataset import RowDataset

    visual, (width, height) = asked.visual, asked.visual.size
    times = list(visual.times_s) or [n / visual.fps for n in range(len(visual.frames))]
    video = {"frames": list(visual.frames), "width": width, "height": height, "fps": visual.fps, "times_s": times}
    row = {"prompt": asked.messages, "videos": [video], "extra_info": {"index": 0}}
    pq.write_table(pa.Table.from_pylist([row], schema=ROW_SCHEMA), path)
    return RowDataset(str(path), None, config(path).data)[0]


class Server:
    """In place of verl's rollout: keeps what it is asked, and answers with some tokens."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens, self.asked = tokens, {}

    async def generate(self, **asked: Any) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        self.asked = asked
        return TokenOutput(token_ids=self.tokens, log_probs=[-1.0] * len(self.tokens))


def turn(row: dict[str, Any], model: Model, processor: Any, settings: Any, server: Server) -> Any:
    """Run verl's agent loop on a row, the one that the row names."""
    import hydra
    from verl.experimental.agent_loop import agent_loop

    from rl.training.verl_dataset import RowDataset

    async def run() -> Any:
        loop = hydra.utils.instantiate(
            agent_loop._agent_loop_registry[row["agent_name"]],
            trainer_config=agent_loop.DictConfigWrap(settings),
            server_manager=server,
            tokenizer=processor.tokenizer,
            processor=processor,
            dataset_cls=RowDataset,
            data_config=agent_loop.DictConfigWrap(settings.data),
            hf_model_type=model.family.model_type,
        )
        return await loop.run({}, **row)

    return asyncio.run(run())


@pytest.mark.parametrize("fps", RATES)
def test_verl_computes_what_the_engines_compute(
    tiny: Callable[[str], Model], visual: Callable[..., VisualInput], tmp_path: Path, fps: float
) -> None:
    """To the bit for tokens and positions, of the prompt and of the answer after it; pixels but for their rounding."""
    import torch
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

    model, settings = tiny("tiny"), config(tmp_path)
    processor = verl_processor(model)
    asked = Request("a", prompt_named("figure-5").messages("A man."), visual(fps=fps, size=(364, 196)))
    server = Server(processor.tokenizer("Target ID: 1")["input_ids"])
    output = turn(row_of(asked, tmp_path / "rows.parquet"), model, processor, settings, server)
    ours = prepare_batch(processor, model.family, processor.config, [asked])
    assert output.prompt_ids == ours["input_ids"][0].tolist() == server.asked["prompt_ids"]
    assert output.response_ids == server.tokens

    worker = SimpleNamespace(tokenizer=processor.tokenizer, processor=processor)
    tokens = torch.tensor([output.prompt_ids + output.response_ids])
    inputs = AgentLoopWorker._compute_multi_modal_inputs(worker, output, tokens[0])
    assert torch.equal(inputs["video_grid_thw"], ours["video_grid_thw"])
    assert torch.allclose(inputs["pixel_values_videos"], ours["pixel_values_videos"], atol=1e-5)
    assert float(inputs["second_per_grid_ts"][0]) == float(ours["second_per_grid_ts"][0])

    placed = AgentLoopWorker._compute_position_ids(worker, tokens, torch.ones_like(tokens), inputs)[0]
    length = len(output.prompt_ids)
    assert torch.equal(placed[:, :length], ours["position_ids"][:, 0])
    following = placed[:, length:] - placed[:, length - 1 :].min(dim=1, keepdim=True).values
    assert torch.equal(following, torch.arange(1, len(server.tokens) + 1).expand(4, -1)), "an answer counts on"


def test_transformers_would_place_the_tokens_of_a_fast_video_otherwise(
    tiny: Callable[[str], Model], visual: Callable[..., VisualInput]
) -> None:
    """If this fails, transformers was mended, and `rl.verl.positions` may go."""
    import torch

    model = tiny("tiny")
    processor = verl_processor(model)
    asked = Request("a", prompt_named("figure-5").messages("A man."), visual(fps=4.0))
    ours = prepare_batch(processor, model.family, processor.config, [asked])
    types = (ours["input_ids"] == processor.video_token_id) * 2
    timed = {name: ours[name] for name in ("video_grid_thw", "second_per_grid_ts")}
    theirs, _ = processor.get_rope_index(ours["input_ids"], types, **timed)
    assert not torch.equal(theirs, ours["position_ids"][1:])
    mine, ahead = rope_index(processor, ours["input_ids"], mm_token_type_ids=types, **timed)
    assert torch.equal(mine, ours["position_ids"][1:])
    assert int(ahead) == int(mine.max()) + 1 - mine.shape[2]


def test_the_rollout_is_given_frames_and_times(
    tiny: Callable[[str], Model], visual: Callable[..., VisualInput], tmp_path: Path
) -> None:
    """The same as the project's own vLLM engine gives."""
    model, settings = tiny("tiny"), config(tmp_path)
    asked = Request("a", prompt_named("figure-5").messages("A man."), visual(fps=1.902))
    server = Server([5, 6])
    turn(row_of(asked, tmp_path / "rows.parquet"), model, verl_processor(model), settings, server)
    [(frames, times)] = server.asked["video_data"]
    assert times == video_metadata(asked.visual)
    assert frames.shape == (8, 196, 364, 3)
    assert frames.dtype == np.uint8
    assert server.asked["mm_processor_kwargs"] == vllm_options(model.family, asked.visual)


def test_rows_come_as_they_were_written(trained_dataset: Dataset, tiny: Callable[[str], Model], tmp_path: Path) -> None:
    from verl.utils.dataset.rl_dataset import collate_fn, get_dataset_class

    rows = write_rows(trained_dataset, tiny("tiny"), RowSettings(), tmp_path)
    settings = config(rows.file("train")).data
    made = get_dataset_class(settings)
    dataset = made(str(rows.file("train")), None, settings)
    assert len(dataset) == 6
    assert [dataset[n]["index"] for n in range(6)] == list(range(6))
    both = made([str(rows.file("train")), str(rows.file("val"))], None, settings, max_samples=8)
    assert len(both) == 8
    assert both[6]["extra_info"]["split"] == "val"
    assert pickle.loads(pickle.dumps(both))[6]["index"] == both[6]["index"] == 0
    batch = collate_fn([dataset[0], dataset[1]])
    assert batch["dummy_tensor"].shape == (2, 1)
    assert [turns[1]["role"] for turns in batch["raw_prompt"]] == ["user", "user"]
    parts = batch["raw_prompt"][0][1]["content"]
    assert sorted(part["type"] for part in parts) == ["text", "video"]


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from rl.training.verl_dataset import RowDataset

    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"prompt": ["What?"]}), path)
    settings = config(path).data
    with pytest.raises(RowsError, match="does not hold training rows of this version"):
        RowDataset(str(path), None, settings)
    with pytest.raises(RowsError, match="cannot be read"):
        RowDataset(str(tmp_path / "none.parquet"), None, settings)
    settings.mm_processor_kwargs = {}
    with pytest.raises(RowsError, match=r"set data\.mm_processor_kwargs to .*do_resize.: False"):
        RowDataset(str(path), None, settings)
