"""Deployment `ground/video`: one sentence about one video, answered with a tube and a clip."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.artifacts import progress_artifact
from flows.families import by_function_name, flows_of
from flows.limits import gpu_slot
from flows.servers import server_of
from infra.ray.pool import pool_or_local
from rl.evaluation.ground.parameters import GroundParameters
from rl.evaluation.ground.result import GroundResult
from rl.evaluation.ground.run import rendering_differences, run_ground
from storage.progress import OnProgress


@task(name="ground", cache_policy=NO_CACHE)
def grounding(parameters: GroundParameters) -> GroundResult:
    """Ground the sentence and publish the answer as artifacts."""
    for text in rendering_differences(parameters):
        get_run_logger().warning(text)
    with gpu_slot(parameters.pool.gpus_per_worker):
        result = run_ground(parameters, _progress(), server_of(parameters), pool_or_local(parameters.pool, parameters.ray))
    create_markdown_artifact(_markdown(result), key="answer", description="Answer of the model, and its tube")
    url = Path(result.clip).absolute().as_uri()
    create_link_artifact(url, link_text="Clip", key="clip", description="The clip with the answer drawn")
    return result


def _progress() -> OnProgress:
    return progress_artifact("step", "Nothing has begun", lambda p: p.stage if p.completed == p.total else f"{p.stage} ...")


def _markdown(result: GroundResult) -> str:
    """The answer as markdown; the text of the model is a code block, so that nothing in it is markup."""
    span = result.span_s
    time = f"{span[0]:.2f} s to {span[1]:.2f} s" if span else f"no time range ({result.span_status})"
    objects = ", ".join(map(str, result.object_ids)) or f"no object ({result.ids_status})"
    rows = [f"| object | {objects} |", f"| time | {time} |", f"| tube | `{result.path}` |"]
    return "\n".join(["| | |", "|---|---|", *rows, "", _code_block(result.text)])


def _code_block(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def run(parameters: GroundParameters) -> str:
    """Ground the sentence; returns the path of the JSON file."""
    return grounding(parameters).path


FLOWS = flows_of("ground", run)
__getattr__ = by_function_name(FLOWS)
