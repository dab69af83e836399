"""Grounding DINO: what it is asked, how its answers are read, and a tiny one of its own class from a folder."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.detection.base import Detection, DetectorConfig, build_detector
from tasks.detection.grounding_dino import prompt_tokens
from tasks.detection.vocabulary import COCO
from tasks.video.reader import Source, Video, open_video
from tasks.weights import Weights, WeightsError, find_weights

pytestmark = pytest.mark.heavy

WIDTH, HEIGHT = 240, 180
PROMPTS = ("Person", "red dog", "square")
TINY = DetectorConfig(name="grounding-dino", confidence=0.25, image_size_px=96, prompts=PROMPTS)


def write_tokenizer(folder: Path) -> Any:
    """BERT's tokenizer over a few words; what divides prompts has the IDs that the model knows it by."""
    from transformers import BertTokenizer

    vocabulary = [f"[unused{i}]" for i in range(1100)]
    for number, token in {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}.items():
        vocabulary[number] = token
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = dict.fromkeys(word for name in [*COCO, "red", "square"] for word in name.split())
    words = [*names, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary[200 : 200 + len(words)] = words
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    return BertTokenizer(vocab=str(folder / "vocab.txt"))


def tiny_model() -> Any:
    """The model's own class, small, with random weights that a picture makes a difference to."""
    import torch
    from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

    sides = {"d_model": 32, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    depths = {"encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            embed_dim=8, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=4, image_size=64, out_indices=[2, 3, 4]
        ),
        text_config=BertConfig(
            vocab_size=1100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        ),
        num_queries=30,
        **sides,
        **depths,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GroundingDinoForObjectDetection(config)
        for head in model.bbox_embed:
            torch.nn.init.normal_(head.layers[-1].weight, std=0.5)
            torch.nn.init.normal_(head.layers[-1].bias, std=1.0)
    return model


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Weights:
    from transformers import GroundingDinoImageProcessor, GroundingDinoProcessor

    folder = tmp_path_factory.mktemp("weights") / "grounding-dino-tiny"
    tiny_model().save_pretrained(folder)
    GroundingDinoProcessor(GroundingDinoImageProcessor(), tokenizer).save_pretrained(folder)
    return find_weights(folder.name, folder.parent)


@pytest.fixture(scope="module")
def detector(weights: Weights) -> Any:
    return build_detector(TINY, weights)


@pytest.fixture
def video(square_clip: Path) -> Video:
    return open_video(Source("squares", square_clip))


def test_cocos_names_are_those_of_another_library() -> None:
    import ultralytics
    import yaml

    data = Path(ultralytics.__file__).parent / "cfg" / "datasets" / "coco.yaml"
    assert list(COCO) == list(yaml.safe_load(data.read_text())["names"].values())


def test_the_text_is_the_librarys_and_each_token_knows_its_prompt(tokenizer: Any) -> None:
    from transformers import GroundingDinoImageProcessor, GroundingDinoProcessor

    ids, owners = prompt_tokens(PROMPTS, tokenizer)
    assert ids == GroundingDinoProcessor(GroundingDinoImageProcessor(), tokenizer)(text=list(PROMPTS))["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "person", ".", "red", "dog", ".", "square", ".", "[SEP]"]
    assert owners.tolist() == [-1, 0, -1, 1, 1, -1, 2, -1, -1]


def test_boxes_are_inside_the_image_and_categories_are_prompts(detector: Any, video: Video) -> None:
    frames = detector.detect(video, range(0, 40, 3))
    found = [d for frame in frames for d in frame]
    assert len(frames) == 14
    assert len(found) > 20
    assert {d.category for d in found} <= set(PROMPTS)
    assert len({d.category for d in found}) > 1
    for (x1, y1, x2, y2), _, score in found:
        assert 0 <= x1 < x2 <= WIDTH
        assert 0 <= y1 < y2 <= HEIGHT
        assert TINY.confidence <= score <= 1
    for frame in frames:
        assert [d.score for d in frame] == sorted((d.score for d in frame), reverse=True)


def test_frames_in_batches_give_what_they_give_alone(detector: Any, video: Video) -> None:
    together = detector.detect(video, range(0, 40, 4))
    for index, found in zip(range(0, 40, 4), together, strict=True):
        close(found, detector.detect(video, [index])[0])
    boxes = [np.array(sorted(d.box for d in found)).round(2).tolist() for found in together]
    assert any(box != boxes[0] for box in boxes), "pictures make a difference"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def close(found: list[Detection], expected: list[Detection]) -> None:
    assert [d.category for d in found] == [d.category for d in expected]
    np.testing.assert_allclose([d.score for d in found], [d.score for d in expected], atol=1e-4)
    np.testing.assert_allclose([d.box for d in found], [d.box for d in expected], atol=0.05)


def test_what_is_found_is_what_the_library_finds(detector: Any, weights: Weights, video: Video) -> None:
    """Boxes and scores against the library's own reading; where it joins words of prompts, ours takes the best."""
    import torch
    from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

    processor = GroundingDinoProcessor.from_pretrained(weights.path)
    model = GroundingDinoForObjectDetection.from_pretrained(weights.path).eval().to(detector._loaded.device)
    frame = video.frames([7])[0]
    size = {"shortest_edge": 96, "longest_edge": 96}
    asked = processor(images=frame, text=list(PROMPTS), return_tensors="pt", size=size).to(model.device)
    with torch.no_grad():
        told = model(**asked)
    # What only divides prompts counts for the library and not for us.
    told.logits[..., detector._owners.size :] = -np.inf
    told.logits[..., np.flatnonzero(detector._owners < 0)] = -np.inf
    expected = processor.post_process_grounded_object_detection(told, threshold=0.25, target_sizes=[frame.shape[:2]])[0]
    found = detector.detect(video, [7])[0]
    rows = sorted(zip(expected["scores"].tolist(), expected["boxes"].tolist(), expected["text_labels"], strict=True))[::-1]
    clipped = [
        (score, [min(max(v, 0), (WIDTH, HEIGHT)[i % 2]) for i, v in enumerate(box)], label) for score, box, label in rows
    ]
    kept = [row for row in clipped if row[1][0] < row[1][2] and row[1][1] < row[1][3]]
    assert len(found) == len(kept) > 3
    for detection, (score, box, label) in zip(found, kept, strict=True):
        assert detection.score == pytest.approx(score, abs=1e-5)
        assert detection.box == pytest.approx(box, abs=1e-2)
        assert set(detection.category.lower().split()) & set(label.split())


def test_the_confidence_is_the_threshold(detector: Any, weights: Weights, video: Video) -> None:
    low = detector.detect(video, [3])[0]
    between = (low[1].score + low[2].score) / 2
    high = build_detector(TINY.model_copy(update={"confidence": between}), weights).detect(video, [3])[0]
    assert high == low[:2]


def test_without_prompts_it_looks_for_cocos_names(weights: Weights, video: Video) -> None:
    detector = build_detector(TINY.model_copy(update={"prompts": ()}), weights)
    names = {d.category for frame in detector.detect(video, [0, 20]) for d in frame}
    assert names
    assert names <= set(COCO)
    others = TINY.model_copy(update={"prompts": (), "target": "non-person"})
    assert names - {"person"} == {d.category for frame in build_detector(others, weights).detect(video, [0, 20]) for d in frame}


def test_more_text_than_the_model_reads_is_refused(weights: Weights) -> None:
    with pytest.raises(ValueError, match=r"the text prompts take 260 tokens and Grounding DINO reads 256: give fewer"):
        build_detector(TINY.model_copy(update={"prompts": ("red dog",) * 86}), weights)


def test_loading_and_detecting_ask_no_network(weights: Weights, video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("socket.socket.connect", lambda _self, address: asked.append(address))
    build_detector(TINY, weights).detect(video, [0])
    assert asked == []


@pytest.mark.parametrize("prompt", ["a dog. a cat", "who?"])
def test_a_prompt_that_would_be_two_is_refused(weights: Weights, prompt: str) -> None:
    with pytest.raises(ValueError, match=r"contains '\.' or '\?', which end a prompt"):
        build_detector(TINY.model_copy(update={"prompts": (prompt,)}), weights)


def test_folders_that_hold_no_such_model_are_named_in_a_sentence(weights: Weights, tmp_path: Path) -> None:
    def refused(folder: Path | None, match: str) -> None:
        with pytest.raises(WeightsError, match=match):
            build_detector(TINY, None if folder is None else Weights(folder, ""))

    remedy = "'grounding-dino' needs the folder of IDEA-Research/grounding-dino-base"
    refused(None, "'grounding-dino' has no random weights: name a folder with IDEA-Research/grounding-dino-base")
    refused(tmp_path / "gone", f"gone is not a model folder with a readable config.json: {remedy}")
    other, broken, half = (Path(shutil.copytree(weights.path, tmp_path / n)) for n in ("other", "broken", "half"))
    (other / "config.json").write_text('{"model_type": "bert"}')
    refused(other, f"other has a model of type 'bert', not 'grounding-dino': {remedy}")
    (broken / "model.safetensors").write_bytes(b"no tensors")
    refused(broken, f"(?s)broken cannot be read as GroundingDinoForObjectDetection .*{remedy}")
    drop_tensors(half / "model.safetensors", "encoder.layers.0")
    refused(half, rf"half lacks \d+ tensors of GroundingDinoForObjectDetection, as model\..*encoder\.layers\.0.*: {remedy}")


def drop_tensors(path: Path, name: str) -> None:
    from safetensors.torch import load_file, save_file

    save_file({key: value for key, value in load_file(path).items() if name not in key}, path, metadata={"format": "pt"})
