"""The commands of single stages on plain files: what they take, and what they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seisflow.errors import WorkflowError

if TYPE_CHECKING:
    from seisflow.keys import Window

__all__ = ["plain"]

plain = typer.Typer()

Picks = Annotated[
    Path, typer.Option("--picks", help="PICKS table: Parquet, or CSV network,station,phase,time.")
]
StationsFile = Annotated[Path, typer.Option("--stations", help="StationXML file or folder, or CSV.")]
VelocityFile = Annotated[Path, typer.Option("--velocity", help="CSV with depth_km, vp, vs.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the resulting tables.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a parameter.")]


@plain.command()
def pick(
    files: Annotated[list[Path], typer.Argument(help="Waveform files of any stations.")],
    out: Annotated[Path, typer.Option("--out", help="CSV or Parquet to write.")],
    picker: Annotated[str, typer.Option(help="See: seisflow methods picking.")] = "bundled",
    inventory: Annotated[
        Path | None, typer.Option(help="StationXML file or folder: amplitudes in m/s.")
    ] = None,
    settings: Settings = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="PNG, PDF or SVG of each station-day to write.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="What the figure shows closely begins.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="... and ends, UTC.")] = None,
) -> None:
    """Pick phases in plain waveform files. Status 1 if some could not be read, picked or restored to m/s.

    A figure shows the day line by line, the curves of the picker and its picks, and some spans closely: the
    strongest, a usual and the least certain picks, or what --from and --to say.
    """
    from seisflow.plain import pick_files

    n_picks, problems = pick_files(files, out, picker, settings or [], inventory, figure, _span(start, end))
    for problem in problems:
        typer.secho(problem, fg="yellow", err=True)
    typer.echo(f"{n_picks} picks in {out}")
    raise typer.Exit(1 if problems else 0)


@plain.command()
def associate(
    picks: Picks,
    stations: StationsFile,
    velocity: VelocityFile,
    out: OutFolder,
    associator: Annotated[str, typer.Option(help="See: seisflow methods association.")] = "pyocto",
    settings: Settings = None,
) -> None:
    """Associate a table of picks into events."""
    from seisflow.plain import associate_files

    typer.echo(associate_files(picks, stations, velocity, out, associator, settings or []))


@plain.command()
def locate(
    catalog: Annotated[
        Path, typer.Option("--catalog", help="Folder with events, assignments and picks tables.")
    ],
    stations: StationsFile,
    velocity: VelocityFile,
    out: OutFolder,
    locator: Annotated[str, typer.Option(help="See: seisflow methods location.")] = "nonlinear",
    settings: Settings = None,
) -> None:
    """Locate the events of a folder of tables."""
    from seisflow.plain import locate_files

    typer.echo(locate_files(catalog, stations, velocity, out, locator, settings or []))


def _span(start: str | None, end: str | None) -> Window | None:
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise WorkflowError("--from and --to go together: a span has a beginning and an end")
    from seisflow.keys import Window

    return Window(start, end)  # type: ignore[arg-type]
