"""What a training was asked for: a small file in the run's folder, so that it can be taken up again by the folder alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rl.training.recipe import Recipe, RecipeError, recipe_named
from storage.folders.open import folder_at, write_json
from storage.records import parsed

REQUEST = "run.json"


@dataclass(frozen=True)
class Training:
    """A training as it was asked for; JSON values, none of them a secret.

    Attributes:
        recipe, changes: name of a recipe, and what is changed of it.
        model: folder of the model that is trained.
        rows: folders of prompts, made by `rl.training.rows`.
        reward: variant of `rl.rewards`.
        appears: what "appears in" means to it.
        dataset: of which the prompts are, for the lineage: `path`, `content_hash`.
        shown: how its frames are shown, the keys of `rl.models.families.TRAINING_SHOWN`.
    """

    recipe: str
    model: str
    rows: tuple[str, ...]
    reward: str = "paper"
    appears: str = "visible"
    changes: Mapping[str, Any] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)

    def chosen(self) -> Recipe:
        """The recipe with its changes.

        Raises:
            RecipeError: there is no such recipe or value.
        """
        return recipe_named(self.recipe, self.changes)


def write_training(folder: Path, training: Training) -> None:
    """Keep in a run's folder what it was asked for."""
    write_json(folder_at(folder), REQUEST, asdict(training))


def read_training(folder: Path) -> Training:
    """What a run was asked for.

    Raises:
        RecipeError: the folder does not say, or the file is damaged.
    """
    try:
        return parsed(Training, (folder / REQUEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise RecipeError(f"'{folder}' is not the folder of a training: it has no {REQUEST}") from None
    except ValueError as error:
        raise RecipeError(f"{folder}/{REQUEST} is damaged ({error}): start the training anew") from error
