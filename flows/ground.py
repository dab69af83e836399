"""`ground/video`: a sentence about a video, answered with a tube and a clip."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.artifacts import progress_artifact
from flows.families import by_function_name, flows_of
from flows.limits import gpu_slot
from flows.servers import engine_of
from infra.ground import GroundParameters, run_ground, shown_otherwise
from storage.progress import OnProgress


@task(name="ground", cache_policy=NO_CACHE)
def grounding(parameters: GroundParameters) -> dict[str, Any]:
    """Build, mark, ask, repair and draw, and show the answer."""
    for text in shown_otherwise(parameters):
        get_run_logger().warning(text)
    with gpu_slot(parameters.gpus_per_worker):
        told = run_ground(parameters, _progress(), engine_of(parameters))
    create_markdown_artifact(_answer(told), key="answer", description="What the model answered, and where that is")
    create_link_artifact(told["clip_url"], link_text="Clip", key="clip", description="The clip with the answer drawn")
    return told


def _progress() -> OnProgress:
    return progress_artifact("step", "Nothing has begun", lambda p: p.stage if p.completed == p.total else f"{p.stage} ...")


def _answer(told: dict[str, Any]) -> str:
    """The answer as markdown; what a model says is shown as text, whatever stands in it."""
    span = told["span_s"]
    when = f"{span[0]:.2f} s to {span[1]:.2f} s" if span else f"no time range ({told['span']})"
    who = ", ".join(map(str, told["object_ids"])) or f"no object ({told['ids']})"
    rows = [f"| object | {who} |", f"| time | {when} |", f"| tube | `{told['path']}` |"]
    return "\n".join(["| | |", "|---|---|", *rows, "", _fenced(told["text"])])


def _fenced(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def run(parameters: GroundParameters) -> str:
    """Answer, and return the path of the tube."""
    return str(grounding(parameters)["path"])


FLOWS = flows_of("ground", run)
__getattr__ = by_function_name(FLOWS)
