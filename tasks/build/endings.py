"""Endings of the videos of a build that has not published them: what was lost and why, and how to go on."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from storage.folders.folder import Folder, FolderLike
from storage.folders.open import folder_at
from storage.manifest import MANIFEST, Ending
from storage.outcomes import Outcome, check_budget
from storage.reader import Dataset
from storage.specification import read_build_request, read_stage
from storage.stages import STAGE, StageSpec, StageStore, entries_by_video

_MOST_NAMES = 3
_MOST_LETTERS = 160


def check_endings(folder: Folder, endings: Sequence[Ending], error_budget: float) -> None:
    """Check the error budget of a build.

    Args:
        folder: folder of the dataset.
        endings: outcome of each planned video.
        error_budget: maximum fraction of lost videos, in [0, 1].

    Raises:
        BudgetError: the budget is exceeded; the message names the first lost videos and the command that goes on.
    """
    check_budget([ending.outcome for ending in endings], error_budget, _remedy(str(folder), endings))


def _remedy(folder: str, endings: Sequence[Ending]) -> str:
    lost = [ending for ending in endings if ending.outcome.is_lost]
    if not lost:
        return ""
    names = "; ".join(_named(ending) for ending in lost[:_MOST_NAMES]) + ("; ..." if len(lost) > _MOST_NAMES else "")
    reasons = sorted({ending.outcome.reason for ending in lost} - {"not_run"})
    command = "the same command again goes on"
    if reasons:
        share = -(-100 * len(lost) // len(endings)) / 100
        options = " ".join(f"--reason {reason}" for reason in reasons)
        requeue = f"stvg requeue {quote(folder)} {options} --set error_budget={share:g} --yes"
        command = f"`{requeue}` tries them again and publishes the rest"
    return f" ({names}): `stvg inspect {quote(folder)}` lists all, and {command}"


def _named(ending: Ending) -> str:
    sentence = ending.outcome.sentence.removeprefix(f"{ending.video_id}: ")[:_MOST_LETTERS]
    return f"{ending.video_id}: {ending.outcome.reason}" + (f", {sentence}" if sentence else "")


def stored_endings(where: FolderLike) -> list[Ending]:
    """How each video ended in the last build of a folder, published or not, without those that have not ended; by video.

    Args:
        where: folder of the dataset, its path or `s3://` URL.

    Raises:
        DatasetError: the folder has no build request.
        RecordError: the record of a stage is damaged.
    """
    folder = folder_at(where)
    endings: dict[str, Ending] = {}
    for key in read_build_request(folder).stages:
        if not folder.child(key).names(STAGE):
            continue
        stage = read_stage(folder, key)
        store = StageStore(folder, StageSpec(name=stage.name, version=stage.version, params=stage.params, tables=()))
        for video_id, outcome in _latest(store).items():
            before = endings.get(video_id)
            if before is None or before.outcome.status == "done":
                # A done video keeps what its first stage noted.
                latest = before.outcome if before and outcome.status == "done" else outcome
                endings[video_id] = Ending(video_id, store.spec.name, latest)
    return [endings[video_id] for video_id in sorted(endings)]


def _latest(store: StageStore) -> dict[str, Outcome]:
    """Outcome of each video in a stage; of a source that has changed, the one that was written last."""
    written = {file.name: file.modified_ns for file in store.folder.files()}
    shards = sorted(store.shards(), key=lambda shard: written.get(f"{shard.name}.json", 0))
    entries = entries_by_video((*shards, *store.parts().values()))
    return {video_id: versions[-1].outcome for video_id, versions in entries.items()}


def unpublished_endings(where: FolderLike) -> list[Ending]:
    """How videos ended in the last build of a folder otherwise than published, or at all where nothing is.

    Args:
        where: folder of the dataset, its path or `s3://` URL.

    Raises:
        DatasetError: the folder has no build request, or its manifest is damaged.
    """
    endings = stored_endings(where)
    if not folder_at(where).names(MANIFEST):
        return endings
    rows = Dataset(where).outcomes.select(["video_id", "status", "reason"]).to_pylist()
    published = {(row["video_id"], row["status"], row["reason"]) for row in rows}
    return [e for e in endings if (e.video_id, e.outcome.status, e.outcome.reason) not in published]
