import pytest

from rl.learn.forms import FORMS
from rl.learn.judge import best_constant, marks
from rl.learn.scenes import scene
from rl.learn.words import NUMBER, prompt, tokenizer, with_id

SCENES = [scene(1, number) for number in range(20)]


@pytest.mark.parametrize("name", list(FORMS))
def test_the_right_answer_is_worth_all_and_survives_its_tokens(name: str) -> None:
    form, words = FORMS[name], tokenizer()
    told = [form.answer(made.target) for made in SCENES]
    for text, made in zip(told, SCENES, strict=True):
        tokens = words.encode(prompt(made.target, made.pairs) + text).ids
        assert NUMBER["<|endoftext|>"] not in tokens
        assert words.decode(words.encode(text).ids, skip_special_tokens=False) == text
        parts = form.parts(text, made)
        assert (parts.r_t, parts.r_f) == (1.0, 1.0)
        assert parts.r_s > 0.7
    found = marks(told, form, SCENES)
    assert found.id_accuracy == found.m_tiou == 1.0
    assert found.m_viou > 0.9


def test_a_wrong_number_a_missing_one_and_babble_are_worth_no_place() -> None:
    form, made = FORMS["markers"], SCENES[0]
    other = made.figures[1]
    missing = ({1, 2, 3, 4} - {figure.object_id for figure in made.figures}).pop()
    for number in (other.object_id, missing):
        text = with_id(number, made.target.span_s)
        assert form.parts(text, made)[:2] == (1.0, 0.0)
        assert marks([text], form, [made])[::2] == (0.0, 0.0)
    assert marks(["babble"], form, [made]) == (0.0, 0.0, 0.0, 0.0)
    assert FORMS["coordinates"].parts("Box: [1, 2, Time range: 0.0 to 4.0", made).r_s == 0.0


def test_the_best_constant_answer_is_at_least_each_constant() -> None:
    form = FORMS["markers"]
    best = best_constant(form, SCENES)
    one = marks([with_id(2, (0.0, 4.0))] * len(SCENES), form, SCENES)
    assert all(b >= o for b, o in zip(best, one, strict=True))
    assert best.id_accuracy < 0.7
