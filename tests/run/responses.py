"""The StationXML of the small archive."""

from __future__ import annotations

from pathlib import Path

from seisflow.synthetic.instruments import BROADBAND
from tests.run.conftest import RATE_HZ, STATIONS


def write_responses(
    folder: Path, *, without: str = "", factor: float = 1.0, of: str = "", note: str = ""
) -> Path:
    """Write the StationXML of the small archive; one station may lack a response or have another gain."""
    from obspy.core.inventory import Channel, Inventory, Network, Station

    stations = []
    for code, (latitude, longitude) in STATIONS.items():
        response = BROADBAND.stages(RATE_HZ)
        if code == of:
            response.response_stages[1].stage_gain *= factor
        place = (latitude, longitude, 0.0)
        channels = [
            Channel(
                f"HH{c}", "", *place, 0.0, sample_rate=RATE_HZ, response=None if code == without else response
            )
            for c in "ZNE"
        ]
        stations.append(Station(code, *place, channels=channels, description=note))
    path = folder / "stations.xml"
    Inventory(networks=[Network("XX", stations=stations)]).write(str(path), format="STATIONXML")
    return path
