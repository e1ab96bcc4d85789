"""The map with its two depth sections: longitude below, latitude at the right, axes shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from seisflow.report.map_frame import (
    BOTTOM_IN,
    GAP_IN,
    KM_PER_DEGREE,
    LEFT_IN,
    TOP_IN,
    WIDTH_IN,
    Frame,
    prepared,
)
from seisflow.report.style import DEPTH_COLOURS, INK, MUTED, N_RASTER, clean_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["draw_map", "outside_map"]

N_ERROR_BARS = 1500
N_LABELS = 60


def draw_map(stations: pd.DataFrame, events: pd.DataFrame) -> Figure:
    """Draw stations and events on a map and in two depth sections.

    Parameters
    ----------
    stations : STATIONS table
    events : EVENTS table
        Events deeper or farther away than all but one in two hundred may lie outside; see `outside_map`.
    """
    frame, sites, quakes = prepared(stations, events)
    height_in = TOP_IN + frame.height_in + GAP_IN + frame.depth_in + BOTTOM_IN
    figure = Figure(figsize=(WIDTH_IN, height_in))

    def panel(left_in: float, bottom_in: float, width_in: float, tall_in: float) -> Axes:
        """Add axes at a place given in inches."""
        box = (left_in / WIDTH_IN, bottom_in / height_in, width_in / WIDTH_IN, tall_in / height_in)
        return figure.add_axes(box)

    map_bottom_in = BOTTOM_IN + frame.depth_in + GAP_IN
    right_in = LEFT_IN + frame.width_in + GAP_IN
    plan = panel(LEFT_IN, map_bottom_in, frame.width_in, frame.height_in)
    below = panel(LEFT_IN, BOTTOM_IN, frame.width_in, frame.depth_in)
    beside = panel(right_in, map_bottom_in, frame.depth_in, frame.height_in)
    depths = Normalize(*_colour_range(quakes["depth_km"].to_numpy()))
    _draw_plan(plan, frame, sites, quakes, depths)
    _draw_sections(below, beside, frame, sites, quakes, depths)
    if len(quakes):
        corner = panel(right_in, BOTTOM_IN, frame.depth_in, frame.depth_in)
        _draw_keys(corner, quakes, depths)
    return figure


def outside_map(stations: pd.DataFrame, events: pd.DataFrame) -> int:
    """Return how many events lie outside the map or its sections."""
    frame, _, quakes = prepared(stations, events)
    depth = quakes["depth_km"].to_numpy()
    inside = frame.holds(quakes["latitude"].to_numpy(), quakes["longitude"].to_numpy())
    return int((~(inside & (depth >= frame.top_km) & (depth <= frame.bottom_km))).sum())


def _colour_range(depth_km: NDArray[Any]) -> tuple[float, float]:
    if not len(depth_km):
        return 0.0, 10.0
    low, high = np.percentile(depth_km, [2, 98])
    return (float(low), float(high)) if high - low > 0.5 else (float(low) - 0.5, float(high) + 0.5)


def _sizes(quakes: pd.DataFrame) -> NDArray[np.float64]:
    """Return marker areas (square points), in proportion to the number of picks."""
    return _area(quakes["n_p"].to_numpy() + quakes["n_s"].to_numpy(), len(quakes))


def _area(n_picks: Any, n_events: int) -> NDArray[np.float64]:
    full = float(np.clip(660.0 / max(n_events, 1), 0.03, 2.2))
    least = 7.0 if n_events < 500 else 2.0 if n_events < 5 * N_RASTER else 0.5
    return np.asarray(least + full * np.asarray(n_picks, dtype=float))


def _scatter(axes: Axes, x: Any, y: Any, quakes: pd.DataFrame, depths: Normalize, gid: str) -> None:
    many = len(quakes) > N_RASTER
    axes.scatter(
        x,
        y,
        s=_sizes(quakes),
        c=quakes["depth_km"],
        cmap=DEPTH_COLOURS,
        norm=depths,
        alpha=0.85 if not many else 0.55 if len(quakes) < 20_000 else 0.35,
        linewidths=0.0 if many else 0.35,
        edgecolors="white",
        rasterized=many,
        zorder=3,
        gid=gid,
    )


def _draw_plan(
    axes: Axes, frame: Frame, sites: pd.DataFrame, quakes: pd.DataFrame, depths: Normalize
) -> None:
    axes.set_xlim(frame.west, frame.east)
    axes.set_ylim(frame.south, frame.north)
    _closed(axes)
    quakes = quakes.sort_values("depth_km", ascending=False)
    _error_bars(axes, quakes, "longitude", "latitude", frame)
    _scatter(axes, quakes["longitude"], quakes["latitude"], quakes, depths, "map-events")
    axes.scatter(
        sites["longitude"],
        sites["latitude"],
        s=46 if len(sites) < 60 else 16 if len(sites) < 300 else 8,
        marker="^",
        color="white",
        edgecolors=INK,
        linewidths=1.1 if len(sites) < 300 else 0.6,
        zorder=4,
        gid="map-stations",
    )
    _label_stations(axes, sites)
    _scale_bar(axes, frame)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _degrees(value, "N", "S")))
    axes.tick_params(labelbottom=False)


def _draw_sections(
    below: Axes, beside: Axes, frame: Frame, sites: pd.DataFrame, quakes: pd.DataFrame, depths: Normalize
) -> None:
    height_km = -sites["elevation_m"] / 1000.0
    places = {"longitude": (below, "section-longitude"), "latitude": (beside, "section-latitude")}
    for name, (axes, gid) in places.items():
        flat = axes is below
        _closed(axes)
        x, y = (quakes[name], quakes["depth_km"]) if flat else (quakes["depth_km"], quakes[name])
        _error_bars(axes, quakes, *((name, "depth_km") if flat else ("depth_km", name)), frame)
        _scatter(axes, x, y, quakes, depths, gid)
        points = (sites[name], height_km) if flat else (height_km, sites[name])
        size = 12 if len(sites) < 100 else 3
        axes.scatter(
            *points, s=size, marker="v" if flat else "<", color=INK, linewidths=0, alpha=0.7, zorder=4
        )
        (axes.axhline if flat else axes.axvline)(0.0, color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)))
    below.set_xlim(frame.west, frame.east)
    below.set_ylim(frame.bottom_km, frame.top_km)
    beside.set_ylim(frame.south, frame.north)
    beside.set_xlim(frame.top_km, frame.bottom_km)
    below.xaxis.set_major_locator(MaxNLocator(6))
    below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _degrees(value, "E", "W")))
    below.yaxis.set_major_locator(MaxNLocator(5))
    beside.xaxis.set_major_locator(MaxNLocator(5))
    beside.yaxis.set_major_locator(MaxNLocator(6))
    beside.tick_params(labelleft=False, pad=2)
    below.set_ylabel("Depth below sea level (km)" if frame.depth_in > 2.0 else "Depth (km)")
    beside.set_xlabel("Depth (km)", labelpad=2)
    if abs(frame.exaggeration - 1.0) > 0.1:
        below.annotate(
            f"depth drawn {frame.exaggeration:.2g} times the map's scale",
            (0.995, 0.03),
            xycoords="axes fraction",
            ha="right",
            fontsize=7.0,
            color=MUTED,
        )


def _closed(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)


def _error_bars(axes: Axes, quakes: pd.DataFrame, x: str, y: str, frame: Frame) -> None:
    """Draw 68% errors as light crosses, for as many events as an eye can tell apart."""
    if len(quakes) > N_ERROR_BARS:
        return
    half = {
        "depth_km": quakes["depth_error_km"],
        "latitude": quakes["horizontal_error_km"] / KM_PER_DEGREE,
        "longitude": quakes["horizontal_error_km"] / (KM_PER_DEGREE * frame.shrink),
    }
    px, py, dx, dy = (np.asarray(values, dtype=float) for values in (quakes[x], quakes[y], half[x], half[y]))
    across = np.stack([np.stack([px - dx, py], 1), np.stack([px + dx, py], 1)], 1)
    along = np.stack([np.stack([px, py - dy], 1), np.stack([px, py + dy], 1)], 1)
    bars = np.concatenate([across, along])
    bars = bars[np.isfinite(bars).all(axis=(1, 2))]
    axes.add_collection(LineCollection(list(bars), colors="#9aa7b3", linewidths=0.5, alpha=0.55, zorder=2))


def _label_stations(axes: Axes, sites: pd.DataFrame) -> None:
    """Write station codes where they hide neither another code nor a station; leave out what does not fit."""
    to_points = 72.0 / axes.figure.dpi
    points = axes.transData.transform(sites[["longitude", "latitude"]].to_numpy(dtype=float)) * to_points
    bounds = Bbox(axes.get_window_extent().get_points() * to_points)
    taken = [(x - 4.0, y - 4.0, x + 4.0, y + 4.0) for x, y in points]
    offsets = [(7, 0), (-7, 0), (0, 8), (0, -8), (6, 6), (-6, 6), (6, -6), (-6, -6)]
    names = sites["station"].to_numpy()
    for i in range(len(sites)):
        if len(taken) >= len(sites) + N_LABELS:
            break
        text = clean_label(str(names[i]), 10)
        wide, tall = 5.2 * len(text), 9.0
        for dx, dy in offsets:
            left = points[i, 0] + dx - (0.0 if dx > 0 else wide if dx < 0 else 0.5 * wide)
            low = points[i, 1] + dy - 0.5 * tall
            box = (left, low, left + wide, low + tall)
            inside = box[0] > bounds.x0 and box[2] < bounds.x1 and box[1] > bounds.y0 and box[3] < bounds.y1
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                _write_label(axes, text, sites.iloc[i], dx, dy)
                break


def _write_label(axes: Axes, text: str, site: pd.Series[Any], dx: int, dy: int) -> None:
    axes.annotate(
        text,
        (site["longitude"], site["latitude"]),
        xytext=(dx, dy),
        textcoords="offset points",
        ha="left" if dx > 0 else "right" if dx < 0 else "center",
        va="center",
        fontsize=7.5,
        fontweight="bold",
        zorder=5,
        bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.6},
    )


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _scale_bar(axes: Axes, frame: Frame) -> None:
    """Draw a bar of a round number of kilometres, about a fifth of the map wide."""
    wide_km = (frame.east - frame.west) * frame.shrink * KM_PER_DEGREE
    target = 0.2 * wide_km
    power = 10.0 ** np.floor(np.log10(target))
    length_km = float(max(step * power for step in (1.0, 2.0, 5.0) if step * power <= target))
    part = length_km / wide_km
    axes.plot(
        [0.03, 0.03 + part], [0.035, 0.035], color=INK, linewidth=2.2, transform=axes.transAxes, zorder=6
    )
    axes.text(
        0.03 + 0.5 * part,
        0.047,
        f"{length_km:g} km",
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        fontsize=8.0,
        zorder=6,
        bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.6},
    )


def _draw_keys(axes: Axes, quakes: pd.DataFrame, depths: Normalize) -> None:
    """Draw what colours, sizes and triangles mean, in the free corner."""
    from matplotlib.cm import ScalarMappable

    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    bar = axes.inset_axes((0.06, 0.56, 0.88, 0.07))
    colours = axes.figure.colorbar(ScalarMappable(depths, DEPTH_COLOURS), cax=bar, orientation="horizontal")
    colours.outline.set_visible(False)
    colours.locator = MaxNLocator(5)
    bar.set_title("Depth of events (km)", fontsize=8.5, fontweight="normal", loc="left", pad=4)
    counts = (quakes["n_p"] + quakes["n_s"]).to_numpy()
    shown = sorted({int(value) for value in np.percentile(counts, [5, 50, 100])})
    axes.text(0.06, 0.3, "Picks per event", fontsize=8.5)
    for i, count in enumerate(shown):
        x = 0.12 + 0.28 * i
        axes.scatter([x], [0.19], s=_area([count], len(quakes)), color=MUTED, linewidths=0)
        axes.text(x + 0.07, 0.19, str(count), va="center", fontsize=8.0)
    axes.scatter([0.12], [0.04], s=46, marker="^", color="white", edgecolors=INK, linewidths=1.1)
    axes.text(0.19, 0.04, "station", va="center", fontsize=8.0)
    if len(quakes) <= N_ERROR_BARS and quakes["depth_error_km"].notna().any():
        axes.plot([0.52, 0.60], [0.04, 0.04], color="#9aa7b3", linewidth=0.9)
        axes.plot([0.56, 0.56], [0.005, 0.075], color="#9aa7b3", linewidth=0.9)
        axes.text(0.64, 0.04, "68% error", va="center", fontsize=8.0)


def _degrees(value: float, positive: str, negative: str) -> str:
    """Write a coordinate as people say it: 17.5°W."""
    if positive == "E":
        value = (value + 180.0) % 360.0 - 180.0
    side = "" if value == 0 else positive if value > 0 else negative
    return f"{round(abs(value), 4):g}°{side}"
