"""What a person sets for a table of the paper; shown as a form in the Prefect UI and as `stvg reproduce` options."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from infra.sweeps import read_file
from infra.tables.table import SETUP, Reproduction, Setup
from rl.paper.numbers import table_name, table_named, tables
from storage.common.config import with_defaults

MINIATURE = Path(__file__).with_name("miniature.toml")


class ReproduceParameters(BaseModel):
    """Build, train and ask what a table of the paper needs, as far as it can be had, and show it beside the paper's numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str = Field(title="Table", description="table-1 to table-11; the rewards of 4.5 and A.9: table-4.5, table-a.9.")
    file: str = Field(SETUP, title="Setup file", description="TOML: what is built, trained and asked with; see docs/sweeps.md.")
    miniature: bool = Field(
        False, title="Miniature", description="Of the sample and tiny models, in folders of its own: tries everything out."
    )
    root: str = Field("datasets", title="Datasets folder", description="Where datasets are, and missing ones are built.")
    out: str = Field("evaluations", title="Evaluations folder", description="Predictions, results and tables go below it.")
    trainings: str = Field("trainings", title="Trainings folder", description="On a disk that all nodes see.")
    at_once: int = Field(1, title="Cells at once", ge=1, le=64, description="Evaluations under way together.")

    def reproduction(self) -> Reproduction:
        """What is to be done for the table.

        Raises:
            PaperError: the paper has no such table.
            SweepError: the file is not as a setup is, or one that is named is not there.
        """
        number = {table_name(number): number for number in tables()}.get(self.table.lower(), self.table.removeprefix("table-"))
        table = table_named(number)
        given = str(MINIATURE) if self.miniature else self.file
        # Whoever has built all datasets and wants every default needs no file.
        none = given == SETUP and not Path(SETUP).exists()
        setup = Setup() if none else read_file(given, Setup, "setup of tables")
        below = "/miniature" if self.miniature else ""
        root, out, trainings = (f"{folder}{below}" for folder in (self.root, self.out, self.trainings))
        return Reproduction(number, table, setup, root, out, trainings, self.miniature)


TABLES = {
    name: with_defaults(ReproduceParameters, f"Reproduce{name.title().replace('-', '').replace('.', '')}", table=name)
    for name in map(table_name, tables())
}
"""Table's name -> its parameters; each is a deployment `reproduce/<name>`."""
