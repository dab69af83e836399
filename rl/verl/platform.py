"""A CPU as one of verl's platforms, so that the trainer of the cluster runs, and is tested, on any machine.

It is chosen by VERL_PLATFORM=cpu and never found by itself. verl counts devices as Ray's "GPU" slots: a CPU cluster has
as many logical ones as there are to be training processes.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch
from verl.plugin.platform import PlatformBase, PlatformRegistry


def _nothing(*_: Any, **__: Any) -> None:
    """There is nothing to wait for, to empty or to count."""


def _answers(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


class _CpuModule(types.ModuleType):
    """`torch.cpu` with what verl calls on `torch.cuda`."""

    def __init__(self) -> None:
        super().__init__("cpu_as_device")
        for name in ("set_device", "synchronize", "empty_cache", "ipc_collect", "reset_peak_memory_stats"):
            setattr(self, name, _nothing)
        for name in ("memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved"):
            setattr(self, name, _answers(0))
        self.is_available, self.device_count = _answers(True), _answers(1)
        self.current_device, self.get_device_name = _answers(torch.device("cpu")), _answers("cpu")
        self.get_rng_state = lambda *_: torch.get_rng_state()
        self.set_rng_state = lambda state, *_: torch.set_rng_state(state)

    def mem_get_info(self, *_: Any) -> tuple[int, int]:
        """Free and total memory, bytes."""
        memory = psutil.virtual_memory()
        return memory.available, memory.total

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    """One CPU as one device; collectives go over gloo."""

    @property
    def device_name(self) -> str:
        """As torch calls it."""
        return "cpu"

    @property
    def vendor_name(self) -> str:
        """Nobody's."""
        return "cpu"

    @property
    def device_module(self) -> types.ModuleType:
        """What stands for `torch.cuda`."""
        return _MODULE

    def is_available(self) -> bool:
        """Everywhere."""
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        """Never by itself: only VERL_PLATFORM=cpu chooses it."""
        return False

    def current_device(self) -> Any:
        """The device, which torch takes where verl means an index."""
        return torch.device("cpu")

    def device_count(self) -> int:
        """One a process."""
        return 1

    def set_device(self, device_index: int) -> None:
        """There is one."""

    def synchronize(self, device_index: int | None = None) -> None:
        """Nothing runs behind."""

    def manual_seed(self, seed: int) -> None:
        """Seed torch."""
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        """Seed torch."""
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        """The allocator has none."""

    def empty_cache(self) -> None:
        """There is none."""

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        """None, as without CUDA."""
        return None, None

    def communication_backend_name(self) -> str:
        """The collectives that run without a GPU."""
        return "gloo"

    def visible_devices_envvar(self) -> str:
        """What Ray sets for a "GPU" slot."""
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        """Marks nothing."""
        yield

    def profiler_start(self) -> None:
        """Profiles nothing."""

    def profiler_stop(self) -> None:
        """Profiles nothing."""

    def ray_resource_name(self) -> str:
        """The slots that verl's pools count."""
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        """As on CUDA."""
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:
        """Weights travel through Ray's object store."""
        return False

    def cudart(self) -> None:
        """There is none."""


_MODULE = _CpuModule()
