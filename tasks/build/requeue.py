"""Running again what ended for a named reason, into the same dataset, and nothing else.

The entries of these videos are made void first, so that they are new to whatever run comes next: a kill at any moment
leaves them to `stvg build`. Videos that were never built, or have changed since, stay as they were published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from storage.common.errors import InputError
from storage.manifest import DatasetError, Ending, Manifest, PublishedStage, manifest_version, publish, published_stage
from storage.outcomes import Outcome
from storage.progress import OnProgress
from storage.reader import Dataset
from storage.stages import StageStore
from tasks.build.endings import check_endings
from tasks.build.plan import Build, StagePlan, plan_frames, plan_masks
from tasks.build.run import FanOut, endings_of, publish_build, run_frames, run_masks, tool_versions


class RequeueError(InputError):
    """Videos that cannot be run again as requested; the message says why and what can be done."""


@dataclass(frozen=True)
class Requeue:
    """Videos that would be processed again.

    Attributes:
        endings: how each of these videos ended, and in which stage; a video may stand there with both.
        left: videos that are new or have changed, which are left to a build.
    """

    endings: Sequence[Ending]
    left: int

    @property
    def videos(self) -> set[str]:
        """The videos that run again."""
        return {ending.video_id for ending in self.endings}


def reasons(endings: Iterable[Ending]) -> list[tuple[str, str, str, list[str]]]:
    """(stage, status, reason, videos) of each kind of ending, the most frequent first."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for e in endings:
        kinds.setdefault((e.stage, e.outcome.status, e.outcome.reason), []).append(e.video_id)
    return sorted(((*kind, videos) for kind, videos in kinds.items()), key=lambda row: (-len(row[3]), row))


def with_reasons(build: Build) -> list[Ending]:
    """Every ending that has a reason, of the benchmark's videos, as the last run left it."""
    return _with_reasons(build, _plans(build))


def _plans(build: Build) -> tuple[StagePlan, StagePlan]:
    """Plans of both stages: masks and frames."""
    masks = plan_masks(build)
    return masks, plan_frames(build, masks)


def _with_reasons(build: Build, plans: Iterable[StagePlan]) -> list[Ending]:
    return [ending for plan in plans for ending in _noted(build, plan)]


def _noted(build: Build, plan: StagePlan) -> Iterator[Ending]:
    known = plan.store.entries()
    for job in build.benchmark.jobs:
        video_id = job.source.video_id
        settled = plan.settled.get(video_id)
        outcomes = [entry.outcome for entry in ([settled] if settled else known.get(video_id, ()))]
        for outcome in {o.reason: o for o in outcomes if o.reason}.values():
            yield Ending(video_id, plan.store.spec.name, outcome, len(job.samples))


def plan_requeue(build: Build, outcome_reasons: Sequence[str]) -> Requeue:
    """Find the videos that ended for one of these reasons.

    Args:
        build: the build that ended.
        outcome_reasons: reasons of outcomes, such as `deadline`.

    Raises:
        RequeueError: nothing ended so, or nothing else could come of it.
        DatasetError: other videos are not built yet and nothing is published that they could stay as.
    """
    plans = _plans(build)
    endings = _with_reasons(build, plans)
    for reason in outcome_reasons:
        _check(reason, [ending for ending in endings if ending.outcome.reason == reason], endings)
    chosen = [ending for ending in endings if ending.outcome.reason in outcome_reasons]
    left = _unbuilt(*plans) - {ending.video_id for ending in chosen}
    if left:
        _published(build)
    return Requeue(chosen, len(left))


def _check(reason: str, ended: Sequence[Ending], endings: Sequence[Ending]) -> None:
    if not ended:
        counts = Counter(ending.outcome.reason for ending in endings)
        others = ", ".join(f"{name} ({count})" for name, count in counts.most_common()) or "none at all"
        raise RequeueError(f"no video ended for the reason '{reason}'; the reasons there are: {others}")
    if all((e.stage, e.outcome.status) == ("frames", "filtered") for e in ended):
        raise RequeueError(
            f"'{reason}' follows from the masks and from what shapes the frames, so the same would come of it again: "
            "build with other parameters, which renders every video anew from the masks there are"
        )


def check_same_stages(before: Build, after: Build) -> None:
    """Refuse changed parameters that make another mask database or other frames: there, every video is new.

    Raises:
        RequeueError: they do.
    """
    for old, new in ((before.masks, after.masks), (before.frames, after.frames)):
        if old.spec.key != new.spec.key:
            raise RequeueError(
                f"with these parameters the {old.spec.name} are others ({new.spec.key} instead of {old.spec.key}) and every "
                "video is new to them: give them to `stvg build`"
            )


def requeue(build: Build, request: Requeue, fan_out: FanOut, on_progress: OnProgress, error_budget: float) -> Manifest:
    """Run these videos again and publish them beside all others, which stay as they are.

    Raises:
        BudgetError: more videos are lost than allowed; what was published before stays visible.
    """
    _make_void(build, request)
    masks = run_masks(build, fan_out, on_progress, request.videos)
    frames = run_frames(build, masks, fan_out, on_progress, request.videos)
    return _publish(build, masks, frames, error_budget)


def _make_void(build: Build, request: Requeue) -> None:
    masks, frames = _plans(build)
    tracked = {ending.video_id for ending in request.endings if ending.stage == "masks"}
    # Frames first: killed in between, their old masks still count, and the frames are rendered from them again.
    for plan, videos in ((frames, request.videos), (masks, tracked)):
        plan.store.invalidate({v: f for v, f in plan.fingerprints.items() if v in videos})


def _unbuilt(masks: StagePlan, frames: StagePlan) -> set[str]:
    return {video_id for plan in (masks, frames) for video_id, state in plan.states.items() if state in {"new", "stale"}}


class _Published(NamedTuple):
    """A dataset as it was published: how videos ended, its records, and by stage the fingerprint of each video's rows."""

    endings: Sequence[Ending]
    records: Mapping[str, int]
    fingerprints: Mapping[str, Mapping[str, str]]


def _published(build: Build) -> _Published:
    """Read what is published.

    Raises:
        DatasetError: nothing is, of the stages that the build works in.
    """
    dataset = Dataset(build.folder)
    stores = {store.spec.name: store for store in (build.masks, build.frames)}
    if any(dataset.manifest.stages[name].key != store.spec.key for name, store in stores.items()):
        raise DatasetError(f"'{build.folder}' was last published with other parameters: run `stvg build` for it first")
    fingerprints = {name: _fingerprints(dataset.manifest.stages[name], store) for name, store in stores.items()}
    return _Published(published_endings(dataset), dataset.manifest.records, fingerprints)


def published_endings(dataset: Dataset) -> list[Ending]:
    """Outcome of each planned video of a published dataset."""
    names = ("status", "reason", "detail", "attempts", "seconds")
    rows = dataset.outcomes.to_pylist()
    return [Ending(row["video_id"], row["stage"], Outcome(**{n: row[n] for n in names}), row["samples"]) for row in rows]


def _fingerprints(stage: PublishedStage, store: StageStore) -> dict[str, str]:
    """Video -> fingerprint of its published rows, where they are not void."""
    known = {shard.name: shard.fingerprints for shard in store.shards()}
    names = [next(iter(tables.values())).path.partition(".")[0] for tables in stage.shards]
    return {v: known[names[n]][v] for v, n in stage.videos.items() if v in known.get(names[n], ())}


def _publish(build: Build, masks: StagePlan, frames: StagePlan, error_budget: float) -> Manifest:
    unbuilt = _unbuilt(masks, frames)
    if not unbuilt:
        return publish_build(build, masks, frames, error_budget)
    seen = manifest_version(build.folder)
    before = _published(build)
    ended = [ending for ending in endings_of(build, masks, frames) if ending.video_id not in unbuilt]
    endings = [*(ending for ending in before.endings if ending.video_id in unbuilt), *ended]
    check_endings(build.folder, endings, error_budget)
    plans = {plan.store.spec.name: plan for plan in (masks, frames)}
    kept = {name: {v: f for v, f in before.fingerprints[name].items() if v in unbuilt} for name in plans}
    stages = {name: published_stage(plan.store, {**kept[name], **plan.fingerprints}) for name, plan in plans.items()}
    return publish(build.folder, stages, endings, before.records, tool_versions(), seen)
