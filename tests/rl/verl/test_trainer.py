"""What verl's trainer would train on through, ours refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rl.verl.errors import TrainingError

pytestmark = pytest.mark.heavy

REWARDS = [{"score": 2.5, "r_t": 0.5, "r_s": 1.0, "r_f": 1.0}, {"score": 0.5, "r_t": 0.5, "r_s": 0.0, "r_f": 0.0}]
TAGS = [{"seq_len": 100, "response_len": 10}, {"seq_len": 120, "response_len": 30}, {"seq_len": 128, "is_padding": True}]


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A trainer at step 3 whose update answers with `metrics`."""
    import rl.verl.trainer as module

    made = object.__new__(module.Trainer)
    made.global_steps, made.total_training_steps, made.told, made.metrics = 3, 9, [], {}
    made._on_step = made.told.append
    made.replay_buffer = SimpleNamespace(failure_keys={"train": set()})
    batch = SimpleNamespace(tags=TAGS, keys=["a", "b", "padding"], partition_id="train")

    def step(self: Any, metrics: dict[str, Any], timing: dict[str, float]) -> Any:
        metrics.update(self.metrics)
        return batch

    def kept(keys: list[str], **_: Any) -> dict[str, Any]:
        assert keys == ["a", "b"], "padding has no reward"
        return {"extra_fields": [{"reward_extra_info": reward} for reward in REWARDS]}

    monkeypatch.setattr(module.PPOTrainerSync, "step", step)
    monkeypatch.setattr(module.PPOTrainerSync, "on_sample_end", lambda self: None)
    monkeypatch.setattr(module.transfer_queue, "kv_batch_get", kept)
    return made


def test_a_step_tells_its_reward_and_each_part(trainer: Any) -> None:
    trainer.metrics = {"actor/loss": 0.25, "training/rollout_actor_probs_pearson_corr": 0.9995, "actor/other": 7.0}
    trainer.step({}, {"gen": 1.5})
    [told] = trainer.told
    assert (told.step, told.total_steps, told.loss, told.pearson) == (3, 9, 0.25, 0.9995)
    assert (told.reward, told.r_t, told.r_s, told.r_f) == (1.5, 0.5, 0.5, 0.5)
    assert told.response_tokens == 20.0
    assert told.timing == {"gen": 1.5}
    assert "other" not in told.model_dump()


@pytest.mark.parametrize(("key", "name"), [("actor/loss", "loss"), ("actor/kl_loss", "kl"), ("actor/grad_norm", "grad_norm")])
def test_what_is_no_number_stops_the_training(trainer: Any, key: str, name: str) -> None:
    trainer.metrics = {key: float("nan")}
    with pytest.raises(TrainingError, match=f"'{name}' of step 3 is nan: a lower learning rate may help"):
        trainer.step({}, {})
    assert trainer.told == []


def test_answers_that_are_missing_stop_the_training(trainer: Any) -> None:
    trainer.on_sample_end()
    trainer.replay_buffer.failure_keys["train"] = {"a"}
    with pytest.raises(TrainingError, match="the answers to 1 of the prompts of step 3 are missing"):
        trainer.on_sample_end()
