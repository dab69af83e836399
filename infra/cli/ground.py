"""The command `stvg ground`."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from rich.text import Text

from infra.cli.console import Steps, plain, printable, stoppable
from infra.cli.options import AsJson
from infra.ground import GroundParameters, run_ground, shown_otherwise


@stoppable()
def ground_command(parameters: GroundParameters, as_json: AsJson = False) -> None:
    """Ground a sentence step by step, and print where and when it is."""
    for text in shown_otherwise(parameters):
        plain(stderr=True).print(f"warning: {text}", soft_wrap=True)
    with Steps(as_json) as steps:
        told = run_ground(parameters, steps.update)
    print(json.dumps(told)) if as_json else show_grounded(told)


def show_grounded(told: dict[str, Any]) -> None:
    """Print an answer: which object, from when to when, on how many frames it stands, and the files."""
    console = plain()
    if told["thought"]:
        console.print(Text.assemble(("thought", "bold"), f": {printable(told['thought'])}"))
    for object_id, places in told["tubes"].items():
        kept = Counter(place["how"] for place in places)
        kinds = ", ".join(f"{category} on {count}" for category, count in Counter(p["category"] for p in places).items())
        frames = f"{len(places)} frames ({', '.join(f'{count} {how}' for how, count in kept.items())})"
        console.print(Text.assemble((f"object {object_id}", "bold"), f": {frames}; {kinds}"))
    if told["span_s"]:
        console.print(Text.assemble(("from", "bold"), f" {told['span_s'][0]:.2f} s to {told['span_s'][1]:.2f} s"))
    if not told["tubes"]:
        read = f"object {told['ids']}, time range {told['span']}"
        console.print(f"the answer names no place ({read}): {printable(told['text'])[:400]!r}", soft_wrap=True)
    console.print(f"tube: {told['path']}\nclip: {told['clip']}", soft_wrap=True)
