"""The workflow file: what is wrong is said with file, key and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seisflow.errors import WorkflowError
from seisflow.workflow import load_workflow

BASE: dict[str, Any] = {
    "name": "study",
    "period": {"start": "2020-01-01", "end": "2020-01-03"},
    "stations": {"inventory": "stations.xml", "select": ["XX.*"]},
    "archive": {"method": "sds", "root": "sds"},
    "velocity": {"depth_km": [0, 10], "vp_km_s": [5, 6], "vs_km_s": [3, 3.5]},
    "picking": {"method": "stalta"},
    "association": {"method": "pyocto"},
    "location": {"method": "nonlinear"},
}


def write(folder: Path, **changes: Any) -> Path:
    """Write the base workflow with some blocks replaced; None removes one."""
    content = {key: value for key, value in (BASE | changes).items() if value is not None}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_good_file_is_read_with_its_defaults(tmp_path: Path) -> None:
    workflow = load_workflow(write(tmp_path))
    assert workflow.archive.root == str(tmp_path / "sds")
    assert workflow.stations.inventory == str(tmp_path / "stations.xml")
    assert workflow.output == str(tmp_path / "runs" / "study")
    assert workflow.deployment.name == "local"
    assert workflow.period.end == np.datetime64("2020-01-03")
    assert workflow.parameters()["picking"]["method"] == "stalta"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "blue"}, ["unknown key colour", "allowed are amplitudes, archive, association"]),
        (
            {"picking": {"method": "stalta", "p_treshold": 4}},
            ["picking", "p_treshold", "allowed are", "p_threshold"],
        ),
        (
            {"picking": {"method": "guess"}},
            ["picking", "unknown method 'guess'", "allowed are bundled, eqtransformer, gpd"],
        ),
        (
            {"picking": {"p_threshold": 4}},
            ["picking", "'method' is missing", "allowed are bundled, eqtransformer, gpd"],
        ),
        ({"picking": {"method": "stalta", "p_threshold": "high"}}, ["picking: p_threshold", "'high'"]),
        ({"deployment": {"method": "moon"}}, ["deployment", "'moon'", "local, serial"]),
        ({"preparation": {"rate": 1}}, ["preparation: rate", "unknown key"]),
        ({"stations": {"inventori": "x"}}, ["stations: inventori", "unknown key"]),
        ({"period": {"start": "yesterday", "end": "2020-01-02"}}, ["period", "'yesterday' is not a time"]),
        ({"period": {"start": "2020-01-02", "end": "2020-01-01"}}, ["period", "must end after it starts"]),
        ({"period": "2020"}, ["period", "start and end"]),
        ({"archive": None}, ["the key 'archive' is missing"]),
        ({"velocity": None}, ["association", "needs a velocity block"]),
        ({"association": None}, ["location", "needs an association block"]),
        ({"velocity": {"path": "nowhere.csv"}}, ["velocity", "nowhere.csv"]),
    ],
)
def test_what_is_wrong_is_said_clearly(tmp_path: Path, changes: dict[str, Any], said: list[str]) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(WorkflowError) as caught:
        load_workflow(path)
    for part in [str(path), *said]:
        assert part in str(caught.value)


def test_without_a_picking_block_the_bundled_picker_picks(tmp_path: Path) -> None:
    workflow = load_workflow(write(tmp_path, picking=None))
    assert workflow.parameters()["picking"]["method"] == "bundled"


def test_settings_replace_values_and_are_checked_like_the_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert load_workflow(path, ["deployment.method=serial"]).deployment.name == "serial"
    assert load_workflow(path, ["period.end=2020-01-02"]).period.end == np.datetime64("2020-01-02")
    with pytest.raises(WorkflowError, match="unknown key"):
        load_workflow(path, ["picking.nothing=1"])
    with pytest.raises(WorkflowError, match=r"block\.key=value"):
        load_workflow(path, ["picking"])


def test_environment_variables_have_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, archive={"method": "sds", "root": "${SEISFLOW_TEST_DATA:-here}/sds"})
    monkeypatch.delenv("SEISFLOW_TEST_DATA", raising=False)
    assert load_workflow(path).archive.root == str(tmp_path / "here" / "sds")
    monkeypatch.setenv("SEISFLOW_TEST_DATA", "/somewhere")
    assert load_workflow(path).archive.root == "/somewhere/sds"
    unset = write(tmp_path, archive={"method": "sds", "root": "${SEISFLOW_TEST_UNSET}/sds"})
    with pytest.raises(WorkflowError, match="SEISFLOW_TEST_UNSET is not set"):
        load_workflow(unset)


def test_not_a_workflow(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match="can not be read"):
        load_workflow(tmp_path / "absent.yaml")
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n- 2\n")
    with pytest.raises(WorkflowError, match="must be a mapping"):
        load_workflow(path)
    path.write_text("a: [1\n")
    with pytest.raises(WorkflowError, match="is not YAML"):
        load_workflow(path)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parent.parent.glob("workflows/*.yaml")), ids=lambda p: p.stem
)
def test_every_workflow_of_the_project_is_valid(
    path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEISFLOW_SHARED", str(shared.resolve()))
    workflow = load_workflow(path)
    assert workflow.picking is not None
