"""Seismometers and digitisers: what turns ground velocity into counts, and how StationXML says it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from obspy.core.inventory import Response

__all__ = ["BROADBAND", "CLIP_COUNTS", "SHORT_PERIOD", "Instrument"]

CLIP_COUNTS = 2**23 - 1
"""Largest count of a 24-bit digitiser."""
NORMALIZATION_HZ = 10.0


@dataclass(frozen=True)
class Instrument:
    """A velocity sensor with a second-order high-pass corner, and a digitiser.

    Parameters
    ----------
    model : str
        What StationXML calls it.
    corner_hz : float
        Frequency below which the response falls.
    damping : float
        Fraction of critical damping.
    sensor_v_s_m : float
        Volt per metre a second at 10 Hz.
    digitizer_counts_v : float
        Counts per volt.
    """

    model: str
    corner_hz: float
    damping: float
    sensor_v_s_m: float
    digitizer_counts_v: float

    @property
    def poles(self) -> tuple[complex, complex]:
        """Poles of the Laplace transform, rad/s."""
        omega = 2.0 * np.pi * self.corner_hz
        root = 1j * omega * np.sqrt(1.0 - self.damping**2)
        return (-self.damping * omega + root, -self.damping * omega - root)

    @property
    def sensitivity(self) -> float:
        """Counts per metre a second at 10 Hz."""
        return self.sensor_v_s_m * self.digitizer_counts_v

    @cached_property
    def _normalization(self) -> float:
        return float(1.0 / abs(self._transfer(np.array([NORMALIZATION_HZ]))[0]))

    def _transfer(self, frequency_hz: NDArray[np.float64]) -> NDArray[np.complex128]:
        s = 2j * np.pi * frequency_hz
        first, second = self.poles
        transfer: NDArray[np.complex128] = s**2 / ((s - first) * (s - second))
        return transfer

    def response(self, frequency_hz: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return counts per metre a second at each frequency."""
        return self.sensitivity * self._normalization * self._transfer(frequency_hz)

    def stages(self, sampling_rate_hz: float) -> Response:
        """Return the response as StationXML describes it: poles and zeros, then the digitiser."""
        from obspy.core.inventory import (
            CoefficientsTypeResponseStage,
            InstrumentSensitivity,
            PolesZerosResponseStage,
            Response,
        )

        sensor = PolesZerosResponseStage(
            stage_sequence_number=1,
            stage_gain=self.sensor_v_s_m,
            stage_gain_frequency=NORMALIZATION_HZ,
            input_units="M/S",
            output_units="V",
            pz_transfer_function_type="LAPLACE (RADIANS/SECOND)",
            normalization_frequency=NORMALIZATION_HZ,
            normalization_factor=self._normalization,
            zeros=[0j, 0j],
            poles=list(self.poles),
        )
        digitizer = CoefficientsTypeResponseStage(
            stage_sequence_number=2,
            stage_gain=self.digitizer_counts_v,
            stage_gain_frequency=NORMALIZATION_HZ,
            input_units="V",
            output_units="COUNTS",
            cf_transfer_function_type="DIGITAL",
            numerator=[1.0],
            denominator=[],
            decimation_input_sample_rate=sampling_rate_hz,
            decimation_factor=1,
            decimation_offset=0,
            decimation_delay=0.0,
            decimation_correction=0.0,
        )
        total = InstrumentSensitivity(
            value=self.sensitivity, frequency=NORMALIZATION_HZ, input_units="M/S", output_units="COUNTS"
        )
        return Response(instrument_sensitivity=total, response_stages=[sensor, digitizer])


BROADBAND = Instrument(
    model="broadband, 120 s, 1500 V s/m, 24 bit",
    corner_hz=1.0 / 120.0,
    damping=0.707,
    sensor_v_s_m=1500.0,
    digitizer_counts_v=419430.0,
)
SHORT_PERIOD = Instrument(
    model="short period, 1 Hz, 400 V s/m, 24 bit",
    corner_hz=1.0,
    damping=0.707,
    sensor_v_s_m=400.0,
    digitizer_counts_v=419430.0,
)
