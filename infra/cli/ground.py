"""The command `stvg ground`."""

from __future__ import annotations

from collections import Counter

from rich.text import Text

from infra.cli.console import Steps, plain, printable, stoppable
from infra.cli.options import AsJson
from infra.ray.pool import pool_or_local
from rl.evaluation.ground.parameters import GroundParameters
from rl.evaluation.ground.result import GroundResult
from rl.evaluation.ground.run import rendering_differences, run_ground


@stoppable()
def ground_command(parameters: GroundParameters, as_json: AsJson = False) -> None:
    """Ground a sentence step by step, and print where and when it is."""
    for text in rendering_differences(parameters):
        plain(stderr=True).print(f"warning: {text}", soft_wrap=True)
    with Steps(as_json) as steps:
        result = run_ground(parameters, steps.update, workers=pool_or_local(parameters.pool, parameters.ray))
    print(result.model_dump_json()) if as_json else show_result(result)


def show_result(result: GroundResult) -> None:
    """Print an answer: objects, time range, number of frames of each tube, and the files."""
    console = plain()
    if result.thought:
        console.print(Text.assemble(("thought", "bold"), f": {printable(result.thought)}"))
    for object_id, tube in result.tubes.items():
        repairs = ", ".join(f"{count} {repair}" for repair, count in Counter(frame.repair for frame in tube).items())
        categories = Counter(frame.category for frame in tube).items()
        kinds = ", ".join(f"{category} on {count}" for category, count in categories)
        console.print(Text.assemble((f"object {object_id}", "bold"), f": {len(tube)} frames ({repairs}); {kinds}"))
    if result.span_s:
        console.print(Text.assemble(("from", "bold"), f" {result.span_s[0]:.2f} s to {result.span_s[1]:.2f} s"))
    if not result.tubes:
        statuses = f"object {result.ids_status}, time range {result.span_status}"
        console.print(f"the answer names no place ({statuses}): {printable(result.text)[:400]!r}", soft_wrap=True)
    console.print(f"tube: {result.path}\nclip: {result.clip}", soft_wrap=True)
