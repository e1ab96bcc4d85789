"""Velocity models: what they hold, what they refuse, how they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from seisflow.earth import VelocityModel
from seisflow.errors import VelocityModelError

NODES = {
    "depth_km": (0.0, 20.0, 20.0, 40.0),
    "vp_km_s": (5.0, 6.0, 7.0, 8.0),
    "vs_km_s": (3.0, 3.5, 4.0, 4.6),
}


def test_constant_holds_from_its_depth_down_and_without_end() -> None:
    model = VelocityModel(depth_km=(-1.0, 5.0), vp_km_s=(5.0, 6.0), vs_km_s=(3.0, 3.5))
    assert model.speed("P", [-9.0, -1.0, 4.999, 5.0, 700.0]).tolist() == [5.0, 5.0, 5.0, 6.0, 6.0]


def test_linear_follows_its_nodes_and_jumps_at_a_discontinuity() -> None:
    model = VelocityModel(**NODES, interpolation="linear")
    found = model.speed("P", [-5.0, 0.0, 10.0, 19.999999, 20.0, 30.0, 99.0])
    assert found.tolist() == pytest.approx([5.0, 5.0, 5.5, 6.0, 7.0, 7.5, 8.0], abs=1e-6)


def test_layers_keep_the_vertical_time_of_a_gradient() -> None:
    model = VelocityModel(**NODES, interpolation="linear")
    tops, speeds = model.layers("P")
    vertical = np.sum(np.diff(tops) / speeds[:-1])
    assert vertical == pytest.approx(
        20.0 * np.log(6.0 / 5.0) / 1.0 + 20.0 * np.log(8.0 / 7.0) / 1.0, rel=1e-9
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth_km": (0.0, 20.0, 10.0, 40.0)}, "must increase downward, found 10.0 km after 20.0 km"),
        ({"interpolation": "constant"}, "20.0 km is given twice"),
        ({"depth_km": (20.0, 20.0, 20.0, 40.0)}, "more than twice"),
        ({"vs_km_s": (3.0, 3.5, 4.0)}, "found 4, 4 and 3 values"),
        ({"vp_km_s": (5.0, -6.0, 7.0, 8.0)}, "greater than 0"),
        ({"vs_km_s": (5.0, 3.5, 4.0, 4.6)}, "Vp/Vs at depth 0.0 km is 1.00"),
        ({"vq": 1}, "Extra inputs"),
    ],
)
def test_what_is_not_physical_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VelocityModel(**{**NODES, "interpolation": "linear", **changes})


@pytest.mark.parametrize(
    "header", ["depth_km,vp,vs", "Depth,Vp,Vs", "depth_km,vp_km_s,vs_km_s", "depth, vp, vs"]
)
def test_headers_people_have(tmp_path: Path, header: str) -> None:
    path = tmp_path / "model.csv"
    path.write_text(f"{header}\n-1,5,3\n10, 6.5,3.7\n")
    model = VelocityModel.read(path)
    assert (model.depth_km, model.vp_km_s, model.vs_km_s) == ((-1.0, 10.0), (5.0, 6.5), (3.0, 3.7))


def test_reading_tells_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "model.csv"
    with pytest.raises(VelocityModelError, match=r"model\.csv can not be read"):
        VelocityModel.read(path)
    path.write_text("depth_km,vp\n0,5\n")
    with pytest.raises(VelocityModelError, match="begins with 'vs', found none"):
        VelocityModel.read(path)
    path.write_text("depth_km,vp,vs\n0,3,5\n")
    with pytest.raises(VelocityModelError, match="are the columns swapped"):
        VelocityModel.read(path)
    path.write_text("depth_km,vp,vs\n0,fast,5\n")
    with pytest.raises(VelocityModelError, match="found 'fast'"):
        VelocityModel.read(path)


def test_published_models_are_read(shared: Path) -> None:
    folder = shared / "data/velocity_models"
    assert VelocityModel.read(folder / "hadley_kanamori_1977_scsn.csv").speed("P", 20.0) == 6.7
    assert VelocityModel.read(folder / "iasp91_0_800km.csv", "linear").speed("S", 35.0) == 4.47
