"""The private doors of verl: this fails where a new verl has moved one, before a training goes wrong in silence."""

from __future__ import annotations

from importlib.metadata import entry_points, version
from typing import Any

import pytest

from rl.verl import VERL
from rl.verl.errors import VerlError
from rl.verl.private import DOORS, check_doors, ragged_by_length

pytestmark = pytest.mark.heavy


def test_verl_is_the_version_that_this_is_written_for() -> None:
    assert version("verl") == VERL


@pytest.mark.parametrize("door", DOORS)
def test_a_door_is_where_it_was(door: str) -> None:
    check_doors(door)


def test_a_door_that_moved_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import verl.utils.distributed as there

    name = "verl.utils.distributed.initialize_global_process_group_ray"
    monkeypatch.setattr(there, "initialize_global_process_group_ray", lambda timeout: timeout)
    with pytest.raises(VerlError, match=rf"'{name}' of verl .* is not the one of {VERL}.*: install verl=={VERL}"):
        check_doors(name)
    monkeypatch.delattr(there, "initialize_global_process_group_ray")
    with pytest.raises(VerlError, match="install verl=="):
        check_doors(name)


def test_verl_finds_the_plugin_by_itself() -> None:
    if not (found := [point for point in entry_points(group="verl.plugins") if point.name == "stvg"]):
        pytest.skip("the project is not installed, or was before the plugin: make install")
    assert found[0].value == "rl.verl.plugin"


@pytest.mark.parametrize("lengths", [(6, 6, 6), (6,), (4, 7, 5), (16, 16, 16, 16)])
def test_positions_are_ragged_in_their_length_whatever_the_lengths(lengths: tuple[int, ...]) -> None:
    """As TransferQueue packs them; sixteen is four times four, where rows and lengths look alike."""
    import torch
    from tensordict import TensorDict

    rows = [torch.arange(4 * length).view(4, length) for length in lengths]
    data = TensorDict({"position_ids": torch.nested.as_nested_tensor(rows, layout=torch.jagged)}, batch_size=len(lengths))
    ragged_by_length(data)
    ragged_by_length(data)
    positions: Any = data["position_ids"]
    assert [length.item() for length in positions.offsets().diff()] == list(lengths)
    for found, row in zip(positions.unbind(), rows, strict=True):
        assert torch.equal(found, row)
