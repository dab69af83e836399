import numpy as np
import pytest

from rl.learn.policy import patches
from rl.learn.scenes import SIDE, frames, scene


def test_a_scene_is_the_same_again_and_its_boxes_hold_its_pixels() -> None:
    made, again = scene(3, 5), scene(3, 5)
    clip = frames(made, marked=False)
    assert np.array_equal(clip, frames(again, marked=False))
    for figure in made.figures:
        assert figure.tube.length <= len(clip) // 2
        for frame in range(figure.tube.start, figure.tube.end + 1):
            x1, y1, x2, y2 = map(int, figure.box(frame))
            inside = clip[frame, y1:y2, x1:x2]
            assert (inside != 110).any(axis=(1, 2)).all()
            assert 0 <= x1 < x2 <= SIDE
            assert 0 <= y1 < y2 <= SIDE


def test_only_numbers_tell_marked_frames_from_others() -> None:
    made = scene(0, 0)
    marked, plain = frames(made).astype(int), frames(made, marked=False).astype(int)
    differs = (marked != plain).any(axis=3)
    assert differs.any()
    assert (marked[differs][:, 0] >= plain[differs][:, 0]).all()
    assert not (frames(made, blank=True) != 110).any()


@pytest.mark.heavy
def test_patches_are_cut_as_the_real_processor_cuts_them() -> None:
    from transformers import Qwen2VLVideoProcessor

    clip = frames(scene(0, 0))
    real = Qwen2VLVideoProcessor(image_mean=[0.5] * 3, image_std=[0.5] * 3)
    cut = real([clip], do_resize=False, do_sample_frames=False, return_tensors="pt")["pixel_values_videos"]
    assert np.allclose(patches(clip[None]).numpy(), cut.numpy(), atol=1e-5)
