"""The command `stvg init`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from infra.cli.console import plain
from rl.evaluation.parameters import NIGHTLY
from storage.common.config import INPUT
from storage.common.site import FOLDERS, SITE, SiteError
from tasks.benchmarks.registry import SOURCES

_HEAD = """\
# Site file of stvg: settings of this installation, which commands, deployments and forms take as their defaults. An option or
# a field of a form replaces them. Paths are relative to this file. It holds no secrets. `stvg doctor` checks it.

[folders]
# paths, or s3:// URLs (weights: a path)
{folders}

[build]
# parameters of every build, as in `stvg build hcstvg --help`; the detector and tracker of the paper, for example:
# detector = "yolo12x"
# tracker = "sam2"
# pool.gpus_per_worker = 1

[evaluate]
# parameters of every evaluation, as in `stvg evaluate --help`:
# model = "qwen2.5-vl-7b"
# engine = "vllm"

# Further tables of this kind: [train], [ground], [sweep], [nightly], [reproduce] and [setup].

# Where the files of benchmarks are (docs/benchmarks.md says where each is obtained). Take away the # of those that you have;
# then `stvg build hcstvg` and `prefect deployment run build-dataset/hcstvg` need no parameters.
"""

_NIGHTLY = """\
# The nightly re-evaluation: which models are evaluated on which datasets (docs/sweeps.md). `stvg accept --yes` accepts the
# scores that later nights are compared with.

checkpoints = ["{model}"]
benchmarks = ["sample"]
"""


def init(
    folder: Annotated[str, typer.Option(help="Folder in which the files are written.")] = ".",
    model: Annotated[str, typer.Option(help="Model that the nightly evaluates.")] = "tiny-schooled",
) -> None:
    """Write a commented site file and a nightly file, and print their paths; a file that exists stays as it is.

    Raises:
        SiteError: the folder cannot be written.
    """
    for name, text in ((SITE, site_text()), (NIGHTLY, _NIGHTLY.format(model=model))):
        path = Path(folder) / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            plain().print(f"{path}: exists, unchanged")
        except OSError as error:
            raise SiteError(f"{path} cannot be written: {error.strerror}") from error
        else:
            plain().print(f"{path}: written")


def site_text() -> str:
    """The content of a new site file, which changes no default."""
    folders = "\n".join(f'# {name} = "{name}"' for name in FOLDERS)
    return _HEAD.format(folders=folders) + "".join(_benchmark(name) for name in SOURCES if name != "folder")


def _benchmark(name: str) -> str:
    return "\n".join(["", f"# [benchmarks.{name}]", *_settings(name), ""])


def _settings(name: str) -> Iterator[str]:
    for setting, field in SOURCES[name].model_fields.items():
        if INPUT in field.metadata:
            yield f'# {setting} = ""  # {field.description}'
