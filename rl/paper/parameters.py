"""Parameters of the reproduction of a table: options of `stvg reproduce`, forms of the deployments `reproduce/<table>`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from rl.paper.numbers import table_name, table_named, tables
from rl.paper.setup import MINIATURE, SETUP, read_setup
from storage.common.config import Config, DatasetsFolder, EvaluationsFolder, TrainingsFolder, with_defaults

if TYPE_CHECKING:
    from rl.paper.table import Reproduction


class ReproduceParameters(Config):
    """Build, train and evaluate whatever a table of the paper needs and can be had here, and compare it with the paper."""

    site_tables: ClassVar[tuple[str, ...]] = ("reproduce",)

    table: str = Field(
        title="Table", description="Name of the table: table-1 to table-11, or table-4.5 and table-a.9 for the rewards."
    )
    file: str = Field(SETUP, title="Setup file", description="TOML file with the settings of builds and runs (docs/sweeps.md).")
    miniature: bool = Field(
        False,
        title="Miniature",
        description="Use tiny models and the generated benchmark, in folders of their own, to try the whole procedure.",
    )
    root: DatasetsFolder = Field(
        "datasets",
        title="Datasets folder",
        description="Folder in which datasets are found by name or built.",
    )
    out: EvaluationsFolder = Field(
        "evaluations", title="Evaluations folder", description="Folder in which predictions, results and tables are written."
    )
    trainings: TrainingsFolder = Field(
        "trainings", title="Trainings folder", description="Folder of trainings, on a disk that every node of a cluster sees."
    )
    at_once: int = Field(1, title="Concurrent evaluations", ge=1, le=64, description="Number of evaluations that run at once.")

    def reproduction(self) -> Reproduction:
        """The table with its setup and folders.

        Raises:
            PaperError: The paper has no such table, or the setup file cannot be used.
        """
        from rl.paper.table import Reproduction

        numbers = {table_name(number): number for number in tables()}
        number = numbers.get(self.table.lower(), self.table.removeprefix("table-"))
        below = "/miniature" if self.miniature else ""
        return Reproduction(
            number=number,
            table=table_named(number),
            setup=read_setup(str(MINIATURE) if self.miniature else self.file),
            root=f"{self.root}{below}",
            out=f"{self.out}{below}",
            trainings=f"{self.trainings}{below}",
            miniature=self.miniature,
        )


TABLES = {
    name: with_defaults(ReproduceParameters, f"Reproduce{name.title().replace('-', '').replace('.', '')}", table=name)
    for name in map(table_name, tables())
}
"""Name of a table -> its parameters; each is a deployment `reproduce/<name>`."""
