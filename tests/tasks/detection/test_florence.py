"""Florence-2: what it is asked, how its answers are read, and a tiny one of its own class from a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.detection.base import DetectorConfig, build_detector
from tasks.detection.florence import DETECTION_TASK, PHRASE_TASK, parse_boxes
from tasks.video.reader import Frames, Source, Video, open_video
from tasks.weights import Weights, WeightsError, find_weights

pytestmark = pytest.mark.heavy

WIDTH, HEIGHT = 240, 180
SIDE, PLACES = 64, 80
SEED = 0
"""Of random weights that write some boxes."""
PLAIN = DetectorConfig(name="florence-2")
NAMED_TWO = DetectorConfig(name="florence-2", prompts=("Red square", "dog"))


def write_tokenizer(folder: Path) -> Any:
    """BART's tokenizer of single letters, with the model's own signs for places and outlines."""
    from transformers import BartTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *bytes_to_unicode().values()]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = BartTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), extra_special_tokens={"image_token": "<image>"}
    )
    tokenizer.add_tokens([*(f"<loc_{i}>" for i in range(1000)), "<poly>", "</poly>", "<sep>"])
    return tokenizer


def tiny_model(tokenizer: Any) -> Any:
    """The model's own class, small, with random weights that a picture makes a difference to."""
    import torch
    from transformers import BartConfig, Florence2Config, Florence2ForConditionalGeneration

    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    text = BartConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=PLACES,
        forced_eos_token_id=None,
        init_std=1.0,
        **heads,
    )
    vision = {
        "depths": [1] * 4,
        "embed_dim": [8, 8, 16, 16],
        "num_heads": [1, 1, 2, 2],
        "num_groups": [1, 1, 2, 2],
        "window_size": 2,
        "projection_dim": 16,
        "initializer_range": 0.5,
    }
    config = Florence2Config(text_config=text.to_dict(), vision_config=vision, image_token_id=tokenizer.image_token_id)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = Florence2ForConditionalGeneration(config)
    # As the real one's: else a random model says one thing again and again.
    model.generation_config.no_repeat_ngram_size = 2
    return model


def processor_of(tokenizer: Any, answers: dict[str, Any]) -> Any:
    from transformers import CLIPImageProcessor, Florence2Processor

    size = {"height": SIDE, "width": SIDE}
    pictures = CLIPImageProcessor(size=size, do_center_crop=False, crop_size=size)
    pictures.image_seq_length = (SIDE // 32) ** 2 + 1
    return Florence2Processor(pictures, tokenizer, post_processor_config=answers)


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    tokenizer = write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return processor_of(tokenizer, {"description_with_bboxes": {}, "description_with_bboxes_or_polygons": {}})


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, processor: Any) -> Weights:
    folder = tmp_path_factory.mktemp("weights") / "florence-2-tiny"
    tiny_model(processor.tokenizer).save_pretrained(folder)
    processor.save_pretrained(folder)
    return find_weights(folder.name, folder.parent)


@pytest.fixture(scope="module")
def detector(weights: Weights) -> Any:
    return build_detector(PLAIN, weights)


@pytest.fixture
def video(square_clip: Path) -> Video:
    return open_video(Source("squares", square_clip))


@pytest.mark.parametrize("task", [DETECTION_TASK, PHRASE_TASK])
def test_a_known_answer_gives_known_boxes_in_pixels(processor: Any, task: str) -> None:
    answer = (
        "</s><s>dog<loc_100><loc_200><loc_499><loc_999>a cat<loc_0><loc_0><loc_9><loc_9><loc_500><loc_0><loc_999><loc_499></s>"
    )
    found = parse_boxes(answer, task, "", processor, (100, 200))
    assert [label for _, label, _ in found] == ["dog", "a cat", "a cat"]
    assert [corners for corners, _, _ in found] == [(20, 20, 99, 99), (0, 0, 1, 0), (100, 0, 199, 49)]
    assert {score for _, _, score in found} == {1.0}


def test_what_a_prompt_finds_is_called_by_the_prompt(processor: Any) -> None:
    answer = "</s><s>a dog<loc_100><loc_200><loc_499><loc_999></s><pad><pad>"
    assert parse_boxes(answer, PHRASE_TASK, "Dog", processor, (100, 200)) == [((20, 20, 99, 99), "Dog", 1.0)]


def test_outlines_become_the_boxes_around_them(processor: Any) -> None:
    answer = "</s><s>dog<poly><loc_100><loc_200><loc_499><loc_999><loc_50><loc_500></poly></s>"
    assert parse_boxes(answer, PHRASE_TASK, "dog", processor, (1000, 1000)) == [((50, 200, 499, 999), "dog", 1.0)]


def test_an_answer_that_repeats_itself_gives_each_box_once_and_what_is_cut_off_none(processor: Any) -> None:
    answer = "</s>" + "dog<loc_1><loc_2><loc_300><loc_400>" * 5 + "dog<loc_1><loc_2>"
    assert len(parse_boxes(answer, DETECTION_TASK, "", processor, (1000, 1000))) == 1
    assert parse_boxes("</s><s>nothing here</s>", DETECTION_TASK, "", processor, (1000, 1000)) == []


def test_a_broken_box_leaves_nothing_in_the_next_label(processor: Any) -> None:
    answer = "</s>cat<loc_1><loc_2>dog<loc_1><loc_2><loc_300><loc_400>"
    assert parse_boxes(answer, DETECTION_TASK, "", processor, (1000, 1000)) == [((1, 2, 300, 400), "dog", 1.0)]


def test_boxes_are_inside_the_image_and_batches_give_what_frames_give_alone(detector: Any, video: Video) -> None:
    together = detector.detect(video, range(0, 40, 3))
    found = [d for frame in together for d in frame]
    assert len(together) == 14
    assert len(found) > 5
    assert len({d.box for d in found}) > 2, "pictures make a difference"
    for (x1, y1, x2, y2), category, score in found:
        assert 0 <= x1 < x2 <= WIDTH
        assert 0 <= y1 < y2 <= HEIGHT
        assert category
        assert score == 1.0
    assert together == [detector.detect(video, [index])[0] for index in range(0, 40, 3)]


def test_each_prompt_is_asked_for_in_turn_and_names_its_boxes(
    weights: Weights, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector: Any = build_detector(NAMED_TWO, weights)
    asked: list[str] = []
    answers = detector._answers

    def listening(frames: Frames, question: str) -> list[str]:
        asked.append(question)
        told: list[str] = answers(frames, question)
        return told

    monkeypatch.setattr(detector, "_answers", listening)
    found = detector.detect(video, range(0, 40, 3))
    assert asked == [PHRASE_TASK + "Red square", PHRASE_TASK + "dog"] * 2, "two batches"
    assert {d.category for frame in found for d in frame} == set(NAMED_TWO.prompts)
    alone = build_detector(NAMED_TWO.model_copy(update={"prompts": ("dog",)}), weights).detect(video, range(0, 40, 3))
    assert alone == [[d for d in frame if d.category == "dog"] for frame in found]


def test_the_question_is_the_models_own(detector: Any, processor: Any, video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text and the picture that reach the model, against its processor's; RGB and not BGR."""
    reached: dict[str, Any] = {}

    def generate(**asked: Any) -> Any:
        reached.update(asked)
        return asked["input_ids"][:, :1]

    monkeypatch.setattr(detector._loaded.model, "generate", generate)
    detector.detect(video, [7])
    text = processor.tokenizer.decode(reached["input_ids"][0])
    assert text == "<image>" * 5 + "<s>Locate the objects with category name in the image.</s>"
    pixels = reached["pixel_values"][0].cpu().numpy()
    square = pixels[:, 10:18, 10:14].mean(axis=(1, 2))
    assert square[0] > 1
    assert max(square[1:]) < 0
    assert {"num_beams": 3, "do_sample": False, "max_new_tokens": PLACES}.items() <= reached.items()


def test_loading_and_detecting_ask_no_network(weights: Weights, video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("socket.socket.connect", lambda _self, address: asked.append(address))
    build_detector(PLAIN, weights).detect(video, [0])
    assert asked == []


@pytest.mark.parametrize(
    ("prompt", "said"),
    [("dog<loc_1>", "contains '<' or '>'"), ("a very " * 20 + "big dog", "is too long for Florence-2: shorten it")],
)
def test_prompts_that_do_not_fit_are_refused(weights: Weights, prompt: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build_detector(PLAIN.model_copy(update={"prompts": (prompt,)}), weights)


def test_folders_that_hold_no_such_model_are_named_in_a_sentence(weights: Weights, processor: Any, tmp_path: Path) -> None:
    def refused(folder: Path | None, match: str) -> None:
        with pytest.raises(WeightsError, match=match):
            build_detector(PLAIN, None if folder is None else Weights(folder, ""))

    remedy = "'florence-2' needs the folder of florence-community/Florence-2-large, as downloaded from Hugging Face"
    refused(None, "'florence-2' has no random weights: name a folder with florence-community/Florence-2-large")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", f"empty is not a model folder with a readable config.json: {remedy}")
    bare, mute = (Path(shutil.copytree(weights.path, tmp_path / name)) for name in ("bare", "mute"))
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        (bare / name).unlink(missing_ok=True)
    refused(bare, f"bare cannot be read as Florence2ForConditionalGeneration .*{remedy}")
    processor_of(processor.tokenizer, {"pure_text": {}}).save_pretrained(mute)
    refused(mute, r"the processor of florence-2's folder cannot parse outputs of <OD>: use the folder of florence-community")
