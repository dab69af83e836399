from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from storage.common.config import Config, DatasetsFolder, Input, changed
from storage.common.site import NO_SITE, SITE, SiteError, read_site, site


class Marks(Config):
    name: str = Field("numbers", description="What is written on an object.")
    size: float = Field(20, ge=5, le=80, description="Font size.")


class Parameters(Config):
    site_tables: ClassVar[tuple[str, ...]] = ("build", "benchmarks.own", "absent")

    videos: Input = Field("", description="Folder of the videos.")
    root: DatasetsFolder = Field("datasets", description="Folder of the datasets.")
    workers: int = Field(2, ge=1, description="Number of workers.")
    marks: Marks = Field(Marks(size=30), description="How objects are marked.")


def site_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / SITE
    path.write_text(text)
    return path


def test_tables_replace_defaults_in_their_order_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    defaults = read_site(
        site_of(
            tmp_path,
            """
            [folders]
            datasets = "s3://bucket/sets"
            [build]
            workers = 3
            marks.size = 40
            [benchmarks.own]
            workers = 4
            marks = "letters"
            videos = "clips"
            """,
        )
    )
    model = defaults.configured(Parameters)
    assert model() == model(
        videos=str(tmp_path / "clips"), root="s3://bucket/sets", workers=4, marks=Marks(name="letters", size=40)
    )
    assert model(workers=1, marks={"size": 10}).marks == Marks(name="letters", size=10), "what is given replaces the site's"
    assert changed(model(), {"marks.size": 5}).marks.size == 5


def test_a_site_without_settings_changes_nothing() -> None:
    assert NO_SITE.configured(Parameters) is Parameters


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[build]\nworker = 1", r"stvg.toml: \[build\] has no setting 'worker': did you mean 'workers'\?"),
        ("[build]\nworkers = 'many'", r"stvg.toml: \[build\] workers: Input should be a valid integer"),
        ("[build]\nworkers = 0", r"stvg.toml: \[build\] workers: Input should be greater than or equal to 1"),
        ("[build]\nmarks.size = 100", r"stvg.toml: \[build\] marks: size: Input should be less than or equal to 80"),
        ("[folders]\ndataset = 'x'", r"stvg.toml: \[folders\] has no setting 'dataset': did you mean 'datasets'\?"),
        ("workers = 1", "stvg.toml: 'workers' stands outside a table"),
        ("[build", "stvg.toml cannot be read: Expected ']'"),
    ],
)
def test_a_wrong_site_file_is_one_sentence_that_names_the_setting(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SiteError, match=message):
        read_site(site_of(tmp_path, text)).configured(Parameters)


def test_the_site_file_lies_in_the_working_folder_or_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STVG_SITE", raising=False)
    assert site() is NO_SITE
    path = site_of(tmp_path, "[build]\nworkers = 3")
    assert site().tables == {"build": {"workers": 3}}
    monkeypatch.setenv("STVG_SITE", str(tmp_path / "other.toml"))
    with pytest.raises(SiteError, match=r"other\.toml cannot be read: No such file"):
        site()
    path.rename(tmp_path / "other.toml")
    assert site().tables == {"build": {"workers": 3}}
