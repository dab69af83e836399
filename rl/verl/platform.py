"""The CPU as a platform of verl, so that the trainer of the cluster runs, and is tested, on any machine.

VERL_PLATFORM=cpu selects it; it is never detected. verl counts devices as Ray's "GPU" slots, so a CPU cluster needs one logical
slot for each training process.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch
from verl.plugin.platform import PlatformBase, PlatformRegistry


def _no_op(*_: Any, **__: Any) -> None:
    """Replace a function of `torch.cuda` that has no effect on a CPU."""


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


class _CpuModule(types.ModuleType):
    """`torch.cpu` with the functions of `torch.cuda` that verl calls."""

    def __init__(self) -> None:
        super().__init__("cpu_as_device")
        for name in ("set_device", "synchronize", "empty_cache", "ipc_collect", "reset_peak_memory_stats"):
            setattr(self, name, _no_op)
        for name in ("memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved"):
            setattr(self, name, _constant(0))
        self.is_available, self.device_count = _constant(True), _constant(1)
        self.current_device, self.get_device_name = _constant(torch.device("cpu")), _constant("cpu")
        self.get_rng_state = lambda *_: torch.get_rng_state()
        self.set_rng_state = lambda state, *_: torch.set_rng_state(state)

    def mem_get_info(self, *_: Any) -> tuple[int, int]:
        """Free and total memory in bytes."""
        memory = psutil.virtual_memory()
        return memory.available, memory.total

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    """One CPU as one device, with gloo for collectives."""

    @property
    def device_name(self) -> str:
        """Device type of torch."""
        return "cpu"

    @property
    def vendor_name(self) -> str:
        """Vendor in verl's registries."""
        return "cpu"

    @property
    def device_module(self) -> types.ModuleType:
        """Replacement of `torch.cuda`."""
        return _MODULE

    def is_available(self) -> bool:
        """Always true."""
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        """Always false: only VERL_PLATFORM=cpu selects the platform."""
        return False

    def current_device(self) -> Any:
        """The device, which torch accepts in place of an index."""
        return torch.device("cpu")

    def device_count(self) -> int:
        """One device per process."""
        return 1

    def set_device(self, device_index: int) -> None:
        """Do nothing: there is one device."""

    def synchronize(self, device_index: int | None = None) -> None:
        """Do nothing: work is synchronous."""

    def manual_seed(self, seed: int) -> None:
        """Seed torch's generator."""
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        """Seed torch's generator."""
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        """Do nothing: the allocator has no settings."""

    def empty_cache(self) -> None:
        """Do nothing: there is no cache."""

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        """No capability, as without CUDA."""
        return None, None

    def communication_backend_name(self) -> str:
        """Backend of collectives."""
        return "gloo"

    def visible_devices_envvar(self) -> str:
        """Environment variable that Ray sets for a "GPU" slot."""
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        """Do nothing: there is no NVTX."""
        yield

    def profiler_start(self) -> None:
        """Do nothing: there is no profiler."""

    def profiler_stop(self) -> None:
        """Do nothing: there is no profiler."""

    def ray_resource_name(self) -> str:
        """Resource that verl's pools count."""
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        """Variables that keep Ray from setting visible devices, as on CUDA."""
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:
        """Always false: weights travel through Ray's object store."""
        return False

    def cudart(self) -> None:
        """No CUDA runtime."""


_MODULE = _CpuModule()
