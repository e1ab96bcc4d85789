"""Real picks, located anew, against published hypocentres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seisflow.earth import Projection, VelocityModel
from seisflow.location import locate_events
from seisflow.location.nonlinear import Nonlinear
from seisflow.tables import Catalog
from tests.location.real import alaska, calaveras, iceland


def compared(catalog: Catalog, located: Catalog) -> pd.DataFrame:
    """Return how far the located events lie from the published: distance_km, deeper_km, and their columns."""
    old, new = catalog.events, located.events
    local = Projection(float(old["latitude"].mean()), float(old["longitude"].mean()))
    there, here = (
        local.to_km(old["latitude"], old["longitude"]),
        local.to_km(new["latitude"], new["longitude"]),
    )
    distance_km = np.hypot(there[0] - here[0], there[1] - here[1])
    return new.assign(distance_km=distance_km, deeper_km=new["depth_km"] - old["depth_km"])


def test_iceland_dike_agrees_with_quakemigrate(shared: Path) -> None:
    """The residuals tell that the published model is meant as a gradient."""
    folder = shared / "data/iceland_dike_2014"
    catalog, stations = iceland(folder)
    locator = Nonlinear(depth_min_km=-1.0)
    found = {
        kind: compared(
            catalog,
            locate_events(
                catalog, stations, VelocityModel.read(folder / "iceland_vmodel.txt", kind), locator
            ),
        )
        for kind in ("constant", "linear")
    }
    gradient = found["linear"]
    assert (gradient["status"] == "located").all()
    assert gradient["distance_km"].median() < 0.5
    assert abs(gradient["deeper_km"].median()) < 0.6
    assert gradient["rms_s"].median() < 0.4 * found["constant"]["rms_s"].median()


def test_alaska_agrees_with_nonlinloc(shared: Path) -> None:
    catalog, stations, velocity = alaska(shared / "data/nonlinloc_alaska_2018")
    located = locate_events(
        catalog, stations, velocity, Nonlinear(depth_max_km=100.0, model_error_fraction=0.02)
    )
    found = compared(catalog, located)
    assert found["distance_km"].median() < 3.0
    # NonLinLoc put five of the seven above ground; only the other two can be compared in depth.
    sound = catalog.events["depth_km"] > 0.0
    assert sound.sum() == 2
    assert found.loc[sound, "distance_km"].max() < 1.0
    assert found.loc[sound, "deeper_km"].abs().max() < 2.5
    assert (found.loc[sound, "horizontal_error_km"] < 2.0).all()


def test_calaveras_epicentres_agree_with_the_network(shared: Path) -> None:
    """Depths do not: in this model the picks fit the published ones worse than deeper ones."""
    catalog, stations, velocity = calaveras(shared / "data/hypodd_california/example2", 100)
    found = compared(catalog, locate_events(catalog, stations, velocity, Nonlinear()))
    assert (found["status"] == "located").mean() > 0.95
    assert found["distance_km"].median() < 1.5
