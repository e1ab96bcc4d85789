"""How waveforms are prepared: bands, sampling rate, response."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seisflow.method import Method

__all__ = ["Preparation"]

_BROADBAND_AND_SHORT_PERIOD = ("HH", "EH", "BH", "SH", "CH", "DH", "FH", "GH")
_NODES = ("HP", "EP", "DP", "GP")
_ACCELEROMETERS = ("HN", "EN", "BN", "SN")


class Preparation(Method):
    """How a station-day of traces becomes a dataset."""

    room: ClassVar[str] = "waveforms"
    name: ClassVar[str] = "preparation"

    bands: Annotated[tuple[str, ...], Field(min_length=1)] = (
        *_BROADBAND_AND_SHORT_PERIOD,
        *_NODES,
        *_ACCELEROMETERS,
    )
    """Band and instrument codes (first two letters of a channel), best first; the first that has
    data is used, and of its locations the one with most samples. Others are not used."""

    sampling_rate_hz: Annotated[float, Field(gt=0)] | None = 100.0
    """Rate to bring all data to, in Hz; null keeps the rate that most samples have."""

    remove_response: Literal["none", "sensitivity", "velocity"] = "none"
    """`none` keeps counts, `sensitivity` divides by the overall sensitivity, `velocity` divides by the
    full response and gives m/s."""

    lowest_frequency_hz: Annotated[float, Field(gt=0)] = 0.1
    """Lowest frequency that `velocity` restores, in Hz; below half of it nothing is left."""

    @property
    def margin_s(self) -> float:
        """Seconds of data beyond both ends of a window that make its result independent of the cut."""
        filter_s = 2.0  # half the resampling filter at 16 Hz; also the sample that moves across the end
        response_s = 5.0 / self.lowest_frequency_hz if self.remove_response == "velocity" else 0.0
        return filter_s + response_s
