from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.heavy


@pytest.fixture
def engine() -> Any:
    import rl.verl.engine as module

    return module


def test_the_rate_falls_as_transformers_has_it(engine: Any) -> None:
    import torch
    from transformers import get_linear_schedule_with_warmup

    def rates(schedule: Any, optimizer: Any) -> list[float]:
        told = []
        for _ in range(10):
            told.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return told

    ours, theirs = (torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], 1e-6) for _ in range(2))
    made = object.__new__(engine.CpuEngine)
    made.optimizer_config = engine.LinearDecayConfig(lr=1e-6, total_training_steps=10)
    expected = rates(get_linear_schedule_with_warmup(theirs, 0, 10), theirs)
    assert rates(made._build_lr_scheduler(ours), ours) == pytest.approx(expected)
    assert expected[-1] == pytest.approx(1e-7), "the last step is taken with a tenth of the first's"


def test_verls_own_schedules_stay(engine: Any) -> None:
    import torch

    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], 1.0)
    made = object.__new__(engine.CudaEngine)
    made.rank = 1
    made.optimizer_config = engine.LinearDecayConfig(lr=1.0, lr_scheduler_type="cosine", total_training_steps=10)
    for _ in range(5):
        optimizer.step()
    schedule = made._build_lr_scheduler(optimizer)
    for _ in range(5):
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5), "half a cosine"


@pytest.mark.parametrize(("device", "vendor", "name"), [("cuda", "nvidia", "CudaEngine"), ("cpu", "cpu", "CpuEngine")])
def test_verl_takes_the_engine_of_its_platform(
    engine: Any, monkeypatch: pytest.MonkeyPatch, device: str, vendor: str, name: str
) -> None:
    from verl.workers.engine import EngineRegistry

    monkeypatch.setenv("VERL_ENGINE_DEVICE", device)
    monkeypatch.setenv("VERL_ENGINE_VENDOR", vendor)
    assert EngineRegistry.get_engine_cls("language_model", "fsdp2") is getattr(engine, name)


def test_the_platform_is_never_found_by_itself() -> None:
    import torch
    from verl.plugin.platform import PlatformRegistry

    from rl.verl.platform import CpuPlatform

    assert PlatformRegistry.get("cpu") is CpuPlatform
    platform = CpuPlatform()
    assert not platform.is_platform_available(use_smi_check=True)
    assert (platform.device_name, platform.communication_backend_name()) == ("cpu", "gloo")
    free, total = platform.device_module.mem_get_info()
    assert 0 < free <= total
    assert platform.device_module.current_device() == torch.device("cpu")
    assert platform.device_module.max_memory_allocated() == 0
