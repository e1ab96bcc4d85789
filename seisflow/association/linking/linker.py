"""A trained network with what it was trained for: stations, velocities, and the form of its windows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import ValidationError

from seisflow.association.linking.features import Frame
from seisflow.association.linking.network import LinkNetwork
from seisflow.earth import Projection, VelocityModel
from seisflow.errors import WeightsError
from seisflow.weightfile import WeightFile, read_weight_file, write_weight_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KIND", "MOVED_KM", "Linker", "read_linker", "write_linker"]

KIND = "phaselink"
"""What files of these weights call the network."""
MOVED_KM = 2.0
"""A station that stands farther than this from where it stood in the training is another station: its
travel times differ by what picks may be wrong by."""


@dataclass(frozen=True, eq=False)
class Linker:
    """A network that links picks, for one set of stations.

    Attributes
    ----------
    network : LinkNetwork
    frame : Frame
        What coordinates are normalised by.
    stations : dict
        Latitude and longitude of each station trained for, by network and station.
    velocity : VelocityModel
        The model that arrival times in the training came from.
    n_picks : int
        Picks in a window.
    span_s : float
        Length of a window, s.
    depth_km : tuple
        Depths of the hypocentres trained for.
    beyond_share : float
        How far beyond the frame the epicentres trained for lie, as a part of it.
    digest : str
        Hash of all that decides the links.
    """

    network: LinkNetwork
    frame: Frame
    stations: Mapping[tuple[str, str], tuple[float, float]]
    velocity: VelocityModel
    n_picks: int
    span_s: float
    depth_km: tuple[float, float]
    beyond_share: float
    digest: str = ""

    def check(self, stations: pd.DataFrame, velocity: VelocityModel) -> None:
        """Refuse stations that were not trained for, and warn of other velocities.

        Parameters
        ----------
        stations : STATIONS table
            Those that have picks.
        velocity : VelocityModel

        Raises
        ------
        WeightsError
            If a station was not there in the training, or stood elsewhere.
        """
        known = list(zip(stations["network"], stations["station"], strict=True))
        foreign = {".".join(name) for name in known if name not in self.stations}
        there = np.array([self.stations.get(name, (np.nan, np.nan)) for name in known]).reshape(-1, 2)
        projection = Projection.of_stations(stations)
        east, north = projection.to_km(stations["latitude"], stations["longitude"])
        east_then, north_then = projection.to_km(there[:, 0], there[:, 1])
        moved = np.hypot(east - east_then, north - north_then) > MOVED_KM
        moved_names = {".".join(name) for name, far in zip(known, moved, strict=True) if far} - foreign
        for names, what in ((foreign, "were not there"), (moved_names, f"stood over {MOVED_KM:g} km away")):
            if names:
                raise WeightsError(
                    f"the weights of phaselink are for {len(self.stations)} stations; "
                    f"{', '.join(sorted(names)[:10])} {what} when they were trained: train for the network "
                    "as it is (seisflow train phaselink --stations S --velocity V --out FOLDER), or leave "
                    "their picks out"
                )
        if velocity != self.velocity:
            warnings.warn(
                "phaselink was trained with another velocity model than the one given, which is used for "
                "origins only; where travel times differ by more than picks may be wrong, train it anew",
                stacklevel=2,
            )


def write_linker(path: Path, linker: Linker, recipe: Mapping[str, Any]) -> None:
    """Write a network with what it was trained for, and how it came about."""
    network, frame = linker.network, linker.frame
    parameters = {
        "n_neurons": network.n_neurons,
        "n_layers": network.n_layers,
        "n_picks": linker.n_picks,
        "span_s": linker.span_s,
        "depth_km": list(linker.depth_km),
        "beyond_share": linker.beyond_share,
        "frame": [frame.south, frame.west, frame.height_deg, frame.width_deg],
        "stations": [[*name, *place] for name, place in linker.stations.items()],
        "velocity": linker.velocity.model_dump(mode="json"),
    }
    write_weight_file(path, KIND, parameters, network.plain_state(), recipe)


def read_linker(path: str | Path) -> Linker:
    """Return the network of a file; the same file is read once a process.

    Raises
    ------
    WeightsError
        If it is not found, damaged, or of another network.
    """
    where = Path(path).expanduser()
    return _read(where, where.stat().st_mtime_ns if where.is_file() else 0)


@lru_cache(maxsize=8)
def _read(path: Path, changed_ns: int) -> Linker:
    """Read a file of weights; when it changed, anew."""
    found = read_weight_file(path, KIND)
    try:
        return _linker_of(found)
    except (KeyError, TypeError, ValueError, RuntimeError, ValidationError) as error:
        raise WeightsError(f"{path}: the weights do not fit the network of phaselink: {error}") from error


def _linker_of(found: WeightFile) -> Linker:
    about = found.parameters
    network = LinkNetwork(int(about["n_neurons"]), int(about["n_layers"]))
    network.load_state_dict({name: torch.from_numpy(array) for name, array in found.arrays.items()})
    shallowest, deepest = about["depth_km"]
    return Linker(
        network=network.eval().requires_grad_(False),
        frame=Frame(*(float(value) for value in about["frame"])),
        stations={(str(row[0]), str(row[1])): (float(row[2]), float(row[3])) for row in about["stations"]},
        velocity=VelocityModel.model_validate(about["velocity"]),
        n_picks=int(about["n_picks"]),
        span_s=float(about["span_s"]),
        depth_km=(float(shallowest), float(deepest)),
        beyond_share=float(about["beyond_share"]),
        digest=found.digest,
    )
