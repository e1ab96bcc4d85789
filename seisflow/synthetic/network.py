"""Stations: where they stand, what they record with, and how quiet they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seisflow.earth import Projection
from seisflow.synthetic.instruments import BROADBAND, SHORT_PERIOD, Instrument
from seisflow.synthetic.scenario import Scenario, random_stream
from seisflow.tables import STATIONS, validate

if TYPE_CHECKING:
    from obspy import Inventory
    from obspy.core.inventory import Channel

__all__ = ["Site", "make_inventory", "make_network", "stations_table"]

GOLDEN_ANGLE_RAD = np.pi * (3.0 - np.sqrt(5.0))
SHORT_PERIOD_BANDS = {True: "EH", False: "SH"}  # SEED: E from 80 Hz, S below
BROADBAND_BANDS = {True: "HH", False: "BH"}
COMPONENTS = {"vertical_only": ("Z",), "oblique": ("Z", "1", "2")}


@dataclass(frozen=True)
class Site:
    """One station.

    Parameters
    ----------
    network, station, location, band : str
        SEED codes; `band` is the first two letters of the channel.
    latitude, longitude : float
        Degree.
    elevation_m : float
    east_km, north_km : float
        Place in the projection of the network.
    sampling_rate_hz : float
    components : tuple of str
        Z, N, E or Z, 1, 2 or Z alone.
    azimuth_deg : float
        Azimuth of the first horizontal component; the second lies 90 degrees clockwise of it.
    instrument : Instrument
    noise_level : float
        Place of the noise above 1 Hz between Peterson's low (0) and high (1) noise model, on a dB scale.
    cultural_db : float
        How much louder noise above 1 Hz is at noon than at midnight, dB.
    amplification : float
        Factor of the ground under the station on every wave.
    kappa_s : float
        Attenuation of the ground under the station, s.
    """

    network: str
    station: str
    location: str
    band: str
    latitude: float
    longitude: float
    elevation_m: float
    east_km: float
    north_km: float
    sampling_rate_hz: float
    components: tuple[str, ...]
    azimuth_deg: float
    instrument: Instrument
    noise_level: float
    cultural_db: float
    amplification: float
    kappa_s: float

    @property
    def depth_km(self) -> float:
        """Depth of the sensor below sea level; negative above it."""
        return -self.elevation_m / 1000.0

    @property
    def channels(self) -> tuple[str, ...]:
        """SEED channel codes."""
        return tuple(self.band + component for component in self.components)


def make_network(scenario: Scenario, seed: int) -> tuple[Site, ...]:
    """Return the stations of a scenario, evenly spread over a disc with some disorder.

    Noise levels are spread evenly over the stations from quiet rock to a site beside a road, in
    random order. Every third station has a short-period sensor. Half-rate, vertical-only and
    oblique stations are the last ones of the network, in this order.
    """
    stream = random_stream(seed, "network")
    n = scenario.n_stations
    projection = Projection(scenario.latitude, scenario.longitude)
    index = np.arange(n)
    radius_km = 0.5 * scenario.aperture_km * np.sqrt((index + 0.5) / n)
    turn_rad = index * GOLDEN_ANGLE_RAD + stream.uniform(0, 2 * np.pi)
    disorder_km = 0.03 * scenario.aperture_km
    east_km = radius_km * np.sin(turn_rad) + stream.normal(0, disorder_km, n)
    north_km = radius_km * np.cos(turn_rad) + stream.normal(0, disorder_km, n)
    latitude, longitude = projection.to_degrees(east_km, north_km)
    noise_level = stream.permutation(np.linspace(0.36, 0.66, n))
    elevation_m = np.round(stream.uniform(50, 1500, n))
    amplification = np.exp(stream.normal(0, 0.3, n))
    kappa_s = stream.uniform(0.008, 0.03, n)
    oblique_deg = np.round(stream.uniform(15, 75, n))

    sites = []
    for k, kind in enumerate(_kinds(scenario)):
        rate_hz = scenario.sampling_rate_hz / (2.0 if kind == "half_rate" else 1.0)
        short = k % 3 == 2
        bands = SHORT_PERIOD_BANDS if short else BROADBAND_BANDS
        sites.append(
            Site(
                network=scenario.network,
                station=f"SF{k + 1:02d}",
                location="00" if k % 4 == 1 else "",
                band=bands[rate_hz >= 80.0],
                latitude=round(float(latitude[k]), 6),
                longitude=round(float(longitude[k]), 6),
                elevation_m=float(elevation_m[k]),
                east_km=float(east_km[k]),
                north_km=float(north_km[k]),
                sampling_rate_hz=rate_hz,
                components=COMPONENTS.get(kind, ("Z", "N", "E")),
                azimuth_deg=float(oblique_deg[k]) if kind == "oblique" else 0.0,
                instrument=SHORT_PERIOD if short else BROADBAND,
                noise_level=float(noise_level[k]),
                cultural_db=float(25.0 * (noise_level[k] - 0.34)),
                amplification=float(amplification[k]),
                kappa_s=float(kappa_s[k]),
            )
        )
    return tuple(sites)


def _kinds(scenario: Scenario) -> list[str]:
    """Return what is special about each station, the plain ones first."""
    special = (
        ["half_rate"] * scenario.n_half_rate
        + ["vertical_only"] * scenario.n_vertical_only
        + ["oblique"] * scenario.n_oblique
    )
    return ["plain"] * (scenario.n_stations - len(special)) + special


def stations_table(sites: tuple[Site, ...], scenario: Scenario) -> pd.DataFrame:
    """Return the STATIONS table of a network; the epoch is the year around the archive."""
    start, end = _epoch(scenario)
    rows = [
        {
            "network": site.network,
            "station": site.station,
            "location": site.location,
            "latitude": site.latitude,
            "longitude": site.longitude,
            "elevation_m": site.elevation_m,
            "start": start,
            "end": end,
        }
        for site in sites
    ]
    return validate(pd.DataFrame(rows), STATIONS)


def make_inventory(sites: tuple[Site, ...], scenario: Scenario) -> Inventory:
    """Return the metadata of a network, as StationXML holds them: places, epochs, responses."""
    from obspy import Inventory, UTCDateTime
    from obspy.core.inventory import Network, Station

    start, end = (UTCDateTime(str(time)) for time in _epoch(scenario))
    stations = [
        Station(
            code=site.station,
            latitude=site.latitude,
            longitude=site.longitude,
            elevation=site.elevation_m,
            creation_date=start,
            start_date=start,
            end_date=end,
            channels=[_channel(site, component) for component in site.components],
        )
        for site in sites
    ]
    for station in stations:
        for channel in station.channels:
            channel.start_date, channel.end_date = start, end
    network = Network(
        code=scenario.network, stations=stations, description="synthetic", start_date=start, end_date=end
    )
    # A fixed date of creation: equal seeds give equal bytes.
    return Inventory(networks=[network], source="seisflow synthetic", created=start)


def _epoch(scenario: Scenario) -> tuple[np.datetime64, np.datetime64]:
    """Return a span of whole years around the archive."""
    first = scenario.period.start.astype("datetime64[Y]")
    last = scenario.period.end.astype("datetime64[Y]") + np.timedelta64(1, "Y")
    return first.astype("datetime64[ns]"), last.astype("datetime64[ns]")


def _channel(site: Site, component: str) -> Channel:
    from obspy.core.inventory import Channel, Equipment

    azimuth_deg = site.azimuth_deg + (90.0 if component in ("E", "2") else 0.0)
    return Channel(
        code=site.band + component,
        location_code=site.location,
        latitude=site.latitude,
        longitude=site.longitude,
        elevation=site.elevation_m,
        depth=0.0,
        azimuth=0.0 if component == "Z" else azimuth_deg % 360.0,
        dip=-90.0 if component == "Z" else 0.0,
        sample_rate=site.sampling_rate_hz,
        sensor=Equipment(type=site.instrument.model),
        response=site.instrument.stages(site.sampling_rate_hz),
    )
