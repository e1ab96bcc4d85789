"""The command ``seisflow train``: parses, calls, prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seisflow.training.recordings import Recordings

__all__ = ["train"]

train = typer.Typer(help="Train a picker, or PhaseLink for a network.", no_args_is_help=True)


Out = Annotated[Path, typer.Option("--out", help="Folder for checkpoint, curves and weights.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="YAML file with parameters.")]
Steps = Annotated[int | None, typer.Option(help="Steps of the optimiser.")]
Seed = Annotated[int | None, typer.Option(help="Decides every random number.")]
LearningRate = Annotated[float | None, typer.Option(help="Largest learning rate.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads.")]
Minutes = Annotated[float | None, typer.Option(help="Stop after so long, to be resumed.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where the training in --out stopped.")]
BeginWith = Annotated[str | None, typer.Option("--from", help="Weights to begin with: 'bundled' or a file.")]
PicksFile = Annotated[
    Path | None, typer.Option("--picks", help="Own picks: Parquet, or CSV network,station,phase,time.")
]
ArchiveRoot = Annotated[str | None, typer.Option("--archive", help="Folder with the waveforms of the picks.")]
Layout = Annotated[str, typer.Option(help="Layout of it, see: seisflow methods archive.")]
DataSet = Annotated[Path | None, typer.Option("--data", help="Data set in SeisBench's format.")]
Limit = Annotated[int, typer.Option(min=2, help="At most so many records of it; each takes 98 kB of memory.")]
HeldOut = Annotated[
    float, typer.Option(min=0.05, max=0.9, help="Part of the real records, the latest, to test with.")
]


@train.command("picker")
def picker(
    out: Out,
    recipe: RecipeFile = None,
    steps: Steps = None,
    seed: Seed = None,
    learning_rate: LearningRate = None,
    device: Device = None,
    threads: Threads = None,
    minutes: Minutes = None,
    resume: Resume = False,
    begin_with: BeginWith = None,
    picks: PicksFile = None,
    archive: ArchiveRoot = None,
    layout: Layout = "folder",
    data: DataSet = None,
    limit: Limit = 20_000,
    held_out: HeldOut = 0.25,
) -> None:
    """Train a picker on simulated earthquakes, and on real records where some are given.

    With --from and --picks the picker is fitted to a region; a table of before and after is printed.
    """
    from seisflow.training.recipe import Recipe, read_recipe
    from seisflow.training.session import train_picker

    options = {
        "steps": steps,
        "seed": seed,
        "learning_rate": learning_rate,
        "device": device,
        "threads": threads,
    }
    read = read_recipe(recipe, options, Recipe)
    recordings = _recordings(picks, archive, layout, data, limit)
    with _resumable():
        done = train_picker(
            read,
            out,
            begin_with=begin_with,
            recordings=recordings,
            held_out=held_out,
            seconds=_seconds(minutes),
            resume=resume,
            show=lambda row: _show(row, read.steps),
        )
    if done.table is not None:
        typer.echo(done.table.to_string(index=False))
    if done.weights is None:
        typer.echo(f"stopped at step {done.step} of {read.steps}; go on with --resume")
    else:
        typer.echo(
            f"weights: {done.weights}\n"
            f"use them: seisflow pick ... --picker bundled --set weights={done.weights}"
        )


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else 60.0 * minutes


def _recordings(
    picks: Path | None, archive: str | None, layout: str, data: Path | None, limit: int
) -> Recordings | None:
    """Return the real records that the options name."""
    from seisflow.errors import WorkflowError

    if (picks is None) != (archive is None):
        raise WorkflowError("own picks need --picks and --archive, both")
    if picks is not None and data is not None:
        raise WorkflowError("give either --picks and --archive or --data")
    if data is not None:
        from seisflow.training.seisbench_data import read_seisbench

        return read_seisbench(data, limit=limit)
    if picks is None:
        return None
    from typing import cast

    from seisflow.archive import Archive
    from seisflow.method import build
    from seisflow.tables import PICKS, read_table
    from seisflow.training.own_picks import read_own_picks

    method = cast(Archive, build("archive", {"method": layout, "root": archive}, "--archive"))
    recordings, problems = read_own_picks(read_table(picks, PICKS), method)
    for problem in problems:
        typer.secho(problem, fg="yellow", err=True)
    typer.echo(f"{len(recordings)} records around {len(recordings.onsets)} picks")
    return recordings


def _show(row: dict[str, float], steps: int) -> None:
    """Print a line of the curves."""
    left_min = (steps - row["step"]) * row["seconds_per_step"] / 60
    typer.echo(
        f"step {row['step']:.0f}/{steps}  loss {row['loss']:.3f}  held out {row['validation_loss']:.3f}  "
        f"F1 at 0.5 s: P {row['f1_p_0.5s']:.3f} S {row['f1_s_0.5s']:.3f}  {left_min:.0f} min left"
    )


@contextmanager
def _resumable() -> Iterator[None]:
    """End with a word, and status 130, when a training is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        typer.secho("seisflow: interrupted; go on with --resume", fg="yellow", err=True)
        raise typer.Exit(130) from None


@train.command("phaselink")
def phaselink(
    stations: Annotated[Path, typer.Option("--stations", help="StationXML file or folder, or CSV.")],
    velocity: Annotated[Path, typer.Option("--velocity", help="CSV with depth_km, vp, vs.")],
    out: Out,
    recipe: RecipeFile = None,
    steps: Steps = None,
    seed: Seed = None,
    learning_rate: LearningRate = None,
    device: Device = None,
    threads: Threads = None,
    minutes: Minutes = None,
    resume: Resume = False,
    begin_with: Annotated[Path | None, typer.Option("--from", help="Weights to begin with.")] = None,
) -> None:
    """Train PhaseLink for the stations of a network, on sequences made with its velocity model."""
    from seisflow.archive import read_stations
    from seisflow.earth import VelocityModel
    from seisflow.training.linking.recipe import LinkRecipe
    from seisflow.training.linking.session import train_linker
    from seisflow.training.recipe import read_recipe

    options = {"steps": steps, "seed": seed, "learning_rate": learning_rate}
    read = read_recipe(recipe, options | {"device": device, "threads": threads}, LinkRecipe)
    with _resumable():
        done = train_linker(
            read,
            read_stations(str(stations)),
            VelocityModel.read(velocity),
            out,
            begin_with=begin_with,
            seconds=_seconds(minutes),
            resume=resume,
            show=lambda row: _show_links(row, read.steps),
        )
    if done.step < read.steps:
        typer.echo(f"stopped at step {done.step} of {read.steps}; go on with --resume")
    typer.echo(
        f"weights: {done.weights}\n"
        f"use them: seisflow associate ... --associator phaselink --set weights={done.weights}"
    )


def _show_links(row: dict[str, float], steps: int) -> None:
    """Print a line of the curves."""
    left_min = (steps - row["step"]) * row["seconds_per_step"] / 60
    typer.echo(
        f"step {row['step']:.0f}/{steps}  loss {row['loss']:.4f}  held out {row['validation_loss']:.4f}  "
        f"links: precision {row['precision']:.3f} recall {row['recall']:.3f} F1 {row['f1']:.3f}  "
        f"{left_min:.0f} min left"
    )
