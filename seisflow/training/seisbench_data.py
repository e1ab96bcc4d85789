"""Data sets in SeisBench's format: a folder with ``metadata.csv`` and ``waveforms.hdf5`` (or several chunks).

References
----------
Woollam et al. (2022), doi:10.1785/0220210324: SeisBench and its data format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seisflow.errors import WaveformError
from seisflow.training.recordings import N_RECORDING, Recordings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_seisbench"]

COLUMN = re.compile(r"trace_(?P<phase>P|S|p|s|Pg|Sg|Pn|Sn|PmP|SmS)_arrival_sample")
RATE_HZ = 100.0


def read_seisbench(folder: Path, split: str | None = None, limit: int | None = None) -> Recordings:
    """Return the records of a data set that have a P or S arrival.

    Parameters
    ----------
    folder : Path
    split : str, optional
        ``train``, ``dev`` or ``test``; None takes all.
    limit : int, optional
        At most so many records, evenly spread over the data set.

    Raises
    ------
    WaveformError
        If the folder holds no such data set, its parts do not fit, or nothing is left.
    """
    try:
        import h5py
    except ImportError as error:
        raise WaveformError(
            f"{folder}: SeisBench data sets need h5py; install seisflow[seisbench]"
        ) from error
    traces: list[NDArray[np.float32]] = []
    onsets: list[tuple[int, int, float]] = []
    times: list[np.datetime64] = []
    for metadata_file, waveform_file in _chunks(folder):
        metadata = _metadata(metadata_file, split)
        if limit is not None and len(metadata) > limit:
            metadata = metadata.iloc[np.linspace(0, len(metadata) - 1, limit).astype(int)]
        with h5py.File(waveform_file, "r") as file:
            order = _orders(file, waveform_file)
            for row in metadata.to_dict("records"):
                found = _record(file, row, order, waveform_file)
                if found is not None:
                    onsets += [(len(traces), *onset) for onset in found[1]]
                    traces.append(found[0])
                    times.append(_start(row))
    if not traces:
        raise WaveformError(
            f"{folder}: no record with a P or S arrival" + (f" in split {split}" if split else "")
        )
    return Recordings(
        np.stack(traces), np.array(onsets, float).reshape(-1, 3), np.array(times, "datetime64[ns]")
    )


def _chunks(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the pairs of files of a data set."""
    found = sorted(folder.glob("metadata*.csv"))
    if not found:
        raise WaveformError(f"{folder}: no SeisBench data set: there is no metadata.csv")
    for metadata in found:
        waveforms = folder / (metadata.stem.replace("metadata", "waveforms", 1) + ".hdf5")
        if not waveforms.is_file():
            raise WaveformError(f"{folder}: {metadata.name} is there, but no {waveforms.name}")
        yield metadata, waveforms


def _metadata(path: Path, split: str | None) -> pd.DataFrame:
    """Return the rows of a split that have an arrival."""
    import pandas as pd

    table = pd.read_csv(path, low_memory=False)
    arrivals = [name for name in table.columns if COLUMN.fullmatch(name)]
    if not arrivals or "trace_name" not in table:
        raise WaveformError(
            f"{path}: a SeisBench data set has the columns trace_name and trace_P_arrival_sample or alike; "
            f"found are {', '.join(map(str, table.columns[:8]))} ..."
        )
    if split is not None:
        if "split" not in table:
            raise WaveformError(
                f"{path}: the data set has no column 'split'; leave it out to take all records"
            )
        table = table[table["split"] == split]
    return table[table[arrivals].notna().any(axis=1)]


def _orders(file: Any, path: Path) -> tuple[str, str]:
    """Return the order of dimensions (C component, W sample) and of components."""
    form = file.get("data_format")
    read = {key: form[key][()] for key in form} if form is not None else {}
    text = {key: value.decode() if isinstance(value, bytes) else str(value) for key, value in read.items()}
    dimensions, components = text.get("dimension_order", "CW"), text.get("component_order", "ZNE")
    if sorted(dimensions.replace("N", "")) != ["C", "W"]:
        raise WaveformError(f"{path}: dimension_order is {dimensions!r}; expected are C and W in some order")
    return dimensions.replace("N", ""), components


def _record(
    file: Any, row: Mapping[Any, Any], order: tuple[str, str], path: Path
) -> tuple[NDArray[np.float32], list[tuple[int, float]]] | None:
    """Return one record at 100 Hz with its onsets in the middle, or None if nothing is in it."""
    name, _, place = str(row["trace_name"]).partition("$")
    try:
        data = file["data"][name]
        block = data[tuple(_slice(part) for part in place.split(","))] if place else data[()]
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise WaveformError(f"{path}: there is no trace {row['trace_name']}: {error}") from error
    block = np.nan_to_num(np.asarray(block, np.float64))
    block = block if order[0] == "CW" else block.T
    rate_hz = float(row.get("trace_sampling_rate_hz", RATE_HZ) or RATE_HZ)
    onsets = _onsets(row, RATE_HZ / rate_hz)
    if not onsets or not block.any():
        return None
    if abs(rate_hz - RATE_HZ) > 1e-6 * RATE_HZ:
        block = _resampled(block, rate_hz)
    names = {"1": "N", "2": "E"}
    letters = [names.get(letter, letter) for letter in str(row.get("trace_component_order") or order[1])]
    first = round(float(np.mean([sample for _, sample in onsets]))) - N_RECORDING // 2
    low, high = max(first, 0), min(first + N_RECORDING, block.shape[1])
    out = np.zeros((3, N_RECORDING), np.float32)
    for letter, trace in zip(letters, block, strict=False):
        if letter in "ENZ" and high > low:
            out["ENZ".index(letter), low - first : high - first] = trace[low:high] - trace[low:high].mean()
    return out, [(code, sample - first) for code, sample in onsets if 0 <= sample - first < N_RECORDING]


def _slice(part: str) -> Any:
    """Return what a piece of a trace name such as ``:3`` or ``5`` selects."""
    if ":" not in part:
        return int(part)
    return slice(*(int(number) if number else None for number in part.split(":")))


def _onsets(row: Mapping[Any, Any], factor: float) -> list[tuple[int, float]]:
    """Return the first P and the first S of a record: code and sample at 100 Hz."""
    found: dict[int, float] = {}
    for column, value in row.items():
        match = COLUMN.fullmatch(str(column))
        if match and value is not None and np.isfinite(float(value)):
            code = "_PS".index(match["phase"][0].upper())
            found[code] = min(found.get(code, np.inf), float(value) * factor)
    return sorted(found.items())


def _resampled(block: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    from scipy.signal import resample_poly

    ratio = Fraction(RATE_HZ / rate_hz).limit_denominator(1000)
    resampled: NDArray[np.float64] = resample_poly(block, ratio.numerator, ratio.denominator, axis=1)
    return resampled


def _start(row: Mapping[Any, Any]) -> np.datetime64:
    text = str(row.get("trace_start_time", "")).removesuffix("Z").partition("+")[0]
    try:
        return np.datetime64(text, "ns")
    except ValueError:
        return np.datetime64("NaT", "ns")
