from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prefect.flows import load_flow_from_entrypoint
from pydantic import BaseModel

from flows import evaluate
from flows.deployments import FLOWS
from flows.nightly import nightly_schedule
from flows.register import EVALUATIONS, registrations
from rl.evaluation.ground.parameters import GroundParameters
from rl.evaluation.parameters import NightlyParameters, SweepParameters
from rl.paper.parameters import TABLES
from rl.training.parameters import TRAININGS, deployment_of
from tasks.build.parameters import BENCHMARKS

SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.fixture(scope="module")
def registered() -> dict[str, object]:
    """Deployments as they would be registered, by full name."""
    from flows.deployments import deployments

    return {f"{d.flow_name}/{d.name}": d for d in deployments()}


def test_every_benchmark_has_its_deployment(registered: dict[str, object]) -> None:
    families = ("build-dataset", "evaluate")
    expected = {f"{family}/{name}" for family in families for name in BENCHMARKS}
    expected |= {"ground/video", "sweep/file", "nightly/benchmarks", *(f"reproduce/{table}" for table in TABLES)}
    expected |= {"train-grpo/stvg-r1", "train-grpo/sample", "train-sft/stvg-r1", "train-sft/sample"}
    assert set(registered) == set(registrations()) == set(FLOWS) == expected


def test_prefect_loads_every_flow_by_its_entrypoint(registered: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SNAPSHOTS.parents[2])
    for name in ("evaluate/charades-sta", "train-sft/stvg-r1", "nightly/benchmarks", "reproduce/table-1"):
        flow = load_flow_from_entrypoint(str(Path(registered[name].entrypoint).resolve()))
        assert flow.fn.__name__ == FLOWS[name].fn.__name__


def test_a_flow_that_no_module_has_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="evaluate_nothing"):
        evaluate.evaluate_nothing  # noqa: B018


def test_every_deployment_is_limited_tagged_and_described(registered: dict[str, object]) -> None:
    for deployment in registered.values():
        assert deployment.concurrency_limit == 1  # type: ignore[attr-defined]
        assert {"build", "evaluate", "ground", "train", "sweep", "reproduce", "nightly"} & set(deployment.tags)  # type: ignore[attr-defined]
        assert deployment.description  # type: ignore[attr-defined]


def test_the_nightly_is_scheduled_and_at_work_only_where_its_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (nightly_schedule().cron, nightly_schedule().active) == ("0 3 * * *", False)
    (tmp_path / "nightly.toml").touch()
    assert nightly_schedule().active is True


def test_only_the_nightly_starts_by_itself(registered: dict[str, object]) -> None:
    assert [name for name, made in registered.items() if made.schedules] == ["nightly/benchmarks"]  # type: ignore[attr-defined]


def fields_of(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Fields of a form and of the groups in it."""
    own = list(schema["properties"].items())
    return own + [field for _, shown in own if "properties" in shown for field in fields_of(shown)]


FORMS = [
    *(("build-dataset", name, BENCHMARKS[name]) for name in BENCHMARKS),
    *(("evaluate", name, EVALUATIONS[name]) for name in BENCHMARKS),
    ("ground", "video", GroundParameters),
    *((*deployment_of(name), TRAININGS[name]) for name in TRAININGS),
    ("sweep", "file", SweepParameters),
    *(("reproduce", name, TABLES[name]) for name in TABLES),
    ("nightly", "benchmarks", NightlyParameters),
]


def assert_shown(properties: dict[str, Any], required: list[str]) -> None:
    """Each field has a title, a description with its bounds, and a default unless it is required; groups have such fields."""
    for field, shown in properties.items():
        assert "anyOf" not in shown, f"{field}: the form cannot show a choice of types"
        assert shown["title"], field
        assert shown["description"], field
        assert field in required or "default" in shown, field
        if shown["type"] in {"integer", "number"}:
            assert re.search(r"\((from|above) [\d.,-]+ (to|below) [\d.,]+\)$", shown["description"]), f"{field}: has no bounds"
        assert_shown(shown.get("properties", {}), [])


@pytest.mark.parametrize(("family", "name", "model"), FORMS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_form_is_as_it_was(registered: dict[str, object], family: str, name: str, model: type[BaseModel]) -> None:
    """The form is a public surface: a change shows in review as a change of its snapshot."""
    schema = registered[f"{family}/{name}"]._parameter_openapi_schema.model_dump()  # type: ignore[attr-defined]
    assert schema["definitions"] == {}
    fields = model.model_json_schema()["properties"]
    assert set(schema["properties"]) == set(fields)
    from prefect.utilities.callables import parameter_schema

    derived = parameter_schema(FLOWS[f"{family}/{name}"])
    assert set(derived.properties) == set(fields), "Prefect calls the flow with these"
    assert sorted(derived.required) == sorted(schema["required"])
    assert_shown(schema["properties"], schema["required"])
    if family == "evaluate":
        assert schema["properties"]["dataset"].pop("default") == name, "each form has its benchmark's dataset filled in"
    if family == "reproduce":
        assert schema["properties"]["table"].pop("default") == name, "each form has its table filled in"
    text = json.dumps(schema, indent=1, sort_keys=True) + "\n"
    file = {"build-dataset": name, "train-grpo": f"{family}-{name}", "train-sft": f"{family}-{name}"}.get(family, family)
    snapshot = SNAPSHOTS / f"{file}.json"
    assert snapshot.read_text() == text, f"the form of {name} changed; if wanted, write:\n{text}"
