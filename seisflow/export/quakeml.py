"""QuakeML 1.2 (BED): events with origin, uncertainties, arrivals and picks, written by obspy.

References
----------
D. Schorlemmer et al. (2011), QuakeML: status of the XML-based seismological data exchange format,
Annals of Geophysics 54, 59-65, https://doi.org/10.4401/ag-4874
QuakeML Basic Event Description, version 1.2, https://quake.ethz.ch/quakeml/
"""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from seisflow.export.arrivals import KM_PER_DEGREE, arrivals_of, each_event, each_row
from seisflow.export.base import Exporter

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.tables import Catalog

__all__ = ["Quakeml"]

POLARITIES = {"up": "positive", "down": "negative"}
UNITS = {"m": "m", "m/s": "m/s", "m/s**2": "m/(s*s)"}
"""What QuakeML calls a unit; it has no counts, they are another unit."""
CONFIDENCE_PERCENT = 68.0


class Quakeml(Exporter):
    """Write catalog.xml. Every resource identifier follows from the tables: equal tables, equal file.

    Picks of no event have no place in QuakeML's event description; with `all_picks` they come in one
    last event of the type "not reported" without an origin.
    """

    name: ClassVar[str] = "quakeml"

    all_picks: bool = False
    """Whether picks that belong to no event are written too."""
    authority: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9\-.*()_~']{2,}$")] = "local"
    """Who is responsible for the catalogue: the authority part of ``smi:authority/...`` identifiers."""

    def write(self, catalog: Catalog, stations: pd.DataFrame, folder: Path) -> list[Path]:
        """Write the file into `folder` and return its path."""
        import obspy.core.event as oe

        arrivals = arrivals_of(catalog, stations)
        events = [self._event(event, rows) for event, rows in each_event(catalog.events, arrivals)]
        if self.all_picks:
            free = catalog.picks[~catalog.picks["pick_id"].isin(catalog.assignments["pick_id"])]
            if len(free):
                rows = each_row(free)
                event = oe.Event(
                    resource_id=self._id("event", "unassociated"),
                    event_type="not reported",
                    picks=[self._pick(row) for row in rows],
                    amplitudes=[self._amplitude(row) for row in rows if np.isfinite(row.amplitude)],
                )
                events.append(event)
        path = folder / "catalog.xml"
        whole = oe.Catalog(events, resource_id=self._id("catalog", "catalog"), creation_info=_nobody())
        whole.write(str(path), format="QUAKEML")
        return [path]

    def _id(self, kind: str, name: str) -> Any:
        """Return a resource identifier; letters that a URI of QuakeML may not have are replaced."""
        from obspy.core.event import ResourceIdentifier

        clean = re.sub(r"[^\w\-.*()~']", "_", name, flags=re.ASCII)
        if clean != name:
            clean = f"{clean}-{blake2b(name.encode(), digest_size=4).hexdigest()}"
        return ResourceIdentifier(f"smi:{self.authority}/{kind}/{clean}")

    def _event(self, event: Any, rows: list[Any]) -> Any:
        import obspy.core.event as oe

        origin = self._origin(event, rows)
        magnitudes = []
        if np.isfinite(event.magnitude):
            magnitudes = [
                oe.Magnitude(
                    resource_id=self._id("magnitude", event.event_id),
                    mag=event.magnitude,
                    magnitude_type=event.magnitude_type or None,
                    origin_id=origin.resource_id,
                    evaluation_mode="automatic",
                )
            ]
        return oe.Event(
            resource_id=self._id("event", event.event_id),
            event_type="earthquake",
            event_type_certainty="suspected",
            picks=[self._pick(row) for row in rows],
            amplitudes=[self._amplitude(row) for row in rows if np.isfinite(row.amplitude)],
            origins=[origin],
            magnitudes=magnitudes,
            preferred_origin_id=origin.resource_id,
            preferred_magnitude_id=magnitudes[0].resource_id if magnitudes else None,
            comments=[self._comment("event", event.event_id, f"status: {event.status}")],
            creation_info=_nobody(),
        )

    def _origin(self, event: Any, rows: list[Any]) -> Any:
        import obspy.core.event as oe

        horizontal_deg = _known(event.horizontal_error_km / KM_PER_DEGREE)
        depth_m = _known(event.depth_error_km * 1000.0)
        origin = oe.Origin(
            resource_id=self._id("origin", event.event_id),
            time=_utc(event.time),
            latitude=event.latitude,
            longitude=event.longitude,
            depth=event.depth_km * 1000.0,
            depth_type="from location" if event.status == "located" else None,
            method_id=self._id("method", event.method),
            evaluation_mode="automatic",
            evaluation_status="preliminary",
            arrivals=[self._arrival(row) for row in rows],
            quality=_quality(event, rows),
        )
        if horizontal_deg is not None:
            shrink = max(float(np.cos(np.radians(event.latitude))), 1e-3)
            origin.latitude_errors = _error(horizontal_deg)
            origin.longitude_errors = _error(min(horizontal_deg / shrink, 180.0))
            origin.origin_uncertainty = oe.OriginUncertainty(
                preferred_description="horizontal uncertainty",
                horizontal_uncertainty=event.horizontal_error_km * 1000.0,
                confidence_level=CONFIDENCE_PERCENT,
            )
        if depth_m is not None:
            origin.depth_errors = _error(depth_m)
        return origin

    def _arrival(self, row: Any) -> Any:
        from obspy.core.event import Arrival

        return Arrival(
            resource_id=self._id("arrival", f"{row.event_id}-{row.pick_id}"),
            pick_id=self._id("pick", row.pick_id),
            phase=row.phase,
            azimuth=_known(row.azimuth_deg),
            distance=_known(row.distance_km / KM_PER_DEGREE),
            time_residual=_known(row.residual_s),
            time_weight=_known(row.weight),
        )

    def _pick(self, row: Any) -> Any:
        from obspy.core.event import Pick

        return Pick(
            resource_id=self._id("pick", row.pick_id),
            time=_utc(row.time),
            waveform_id=_channel(row),
            phase_hint=row.phase,
            polarity=POLARITIES.get(row.polarity),
            method_id=self._id("method", row.method),
            evaluation_mode="automatic",
            comments=[self._comment("pick", row.pick_id, f"probability: {row.probability:.4g}")],
        )

    def _amplitude(self, row: Any) -> Any:
        from obspy.core.event import Amplitude

        unit = row.amplitude_unit or "unknown"
        known = UNITS.get(unit, "other")
        comments = [self._comment("amplitude", row.pick_id, f"unit: {unit}")] if known == "other" else []
        return Amplitude(
            resource_id=self._id("amplitude", row.pick_id),
            generic_amplitude=float(f"{row.amplitude:.7g}"),
            type="A",
            category="point",
            unit=known,
            snr=_known(row.snr),
            pick_id=self._id("pick", row.pick_id),
            waveform_id=_channel(row),
            evaluation_mode="automatic",
            comments=comments,
        )

    def _comment(self, kind: str, name: str, text: str) -> Any:
        from obspy.core.event import Comment

        return Comment(resource_id=self._id(f"comment-{kind}", name), text=text)


def _quality(event: Any, rows: list[Any]) -> Any:
    """Return the origin's quality; picks of no weight are associated, but not used."""
    from obspy.core.event import OriginQuality

    used = [row for row in rows if row.weight != 0.0]
    distances_deg = [row.distance_km / KM_PER_DEGREE for row in used if np.isfinite(row.distance_km)]
    return OriginQuality(
        associated_phase_count=len(rows),
        used_phase_count=int(event.n_p + event.n_s),
        associated_station_count=len({(row.network, row.station) for row in rows}),
        used_station_count=len({(row.network, row.station) for row in used}),
        standard_error=_known(event.rms_s),
        azimuthal_gap=_known(event.gap_deg),
        minimum_distance=min(distances_deg, default=None),
        maximum_distance=max(distances_deg, default=None),
    )


def _channel(row: Any) -> Any:
    from obspy.core.event import WaveformStreamID

    return WaveformStreamID(
        network_code=row.network,
        station_code=row.station,
        location_code=row.location,
        channel_code=row.band or None,
    )


def _error(value: float) -> Any:
    from obspy.core.event import QuantityError

    return QuantityError(uncertainty=value, confidence_level=CONFIDENCE_PERCENT)


def _nobody() -> Any:
    """Return who made the catalogue, without the time, so that equal tables give equal files."""
    from obspy.core.event import CreationInfo

    from seisflow import __version__

    return CreationInfo(author="seisflow", version=__version__)


def _utc(time: pd.Timestamp) -> Any:
    from obspy import UTCDateTime

    return UTCDateTime(ns=time.as_unit("ns").value)


def _known(value: float) -> float | None:
    """Return the number, or None where there is none."""
    return float(value) if np.isfinite(value) else None
