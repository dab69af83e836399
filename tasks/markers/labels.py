"""Text labels of object IDs: numbers, letters, or a mix (Table 5). Every label maps back to its ID."""

from __future__ import annotations

from typing import Literal, get_args

Style = Literal["numbers", "upper", "lower", "mix"]
STYLES: tuple[Style, ...] = get_args(Style)
"""`mix` counts 1 to 9, then A to Z, AA, AB, ..."""

_LETTERS = 26
_DIGITS_OF_MIX = 9


def label_of(object_id: int, style: Style) -> str:
    """Label of an object ID.

    Args:
        object_id: ID of the object, from 1.
        style: marker style of the labels.

    Raises:
        ValueError: the ID is below 1.
    """
    if object_id < 1:
        raise ValueError(f"object IDs count from 1, not {object_id}")
    if style == "numbers" or (style == "mix" and object_id <= _DIGITS_OF_MIX):
        return str(object_id)
    letters = _letters(object_id - _DIGITS_OF_MIX if style == "mix" else object_id)
    return letters.lower() if style == "lower" else letters


def id_of(label: str, style: Style) -> int | None:
    """Object ID of a label in upper or lower case; None if the style has no such label.

    Args:
        label: text of a marker, in either case.
        style: marker style of the labels.
    """
    if label.isascii() and label.isdecimal():
        number = int(label)
        right = style == "numbers" or (style == "mix" and number <= _DIGITS_OF_MIX)
        return number if right and number >= 1 and label == str(number) else None
    if style == "numbers" or not (label.isascii() and label.isalpha()):
        return None
    number = 0
    for letter in label.upper():
        number = number * _LETTERS + ord(letter) - ord("A") + 1
    return number + _DIGITS_OF_MIX if style == "mix" else number


def label_noun(style: Style) -> str:
    """Noun for a label in a prompt."""
    return {"numbers": "number", "upper": "letter", "lower": "letter", "mix": "label"}[style]


def _letters(number: int) -> str:
    """1 -> A, 26 -> Z, 27 -> AA: base 26 without a zero."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, _LETTERS)
        letters = chr(ord("A") + rest) + letters
    return letters
