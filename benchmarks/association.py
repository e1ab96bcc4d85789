"""Associators side by side on the same pick sequences with known truth.

Usage: python benchmarks/association.py [--json] [--quick] [--methods NAME ...] [--scenarios NAME ...]
       [--events N] [--seed N] [--limit-s S]

Scenarios are the stress test of PhaseLink (88 stations, one event in 64, 32, ... 5 s on average), a swarm
with as many false picks as true ones, and PyOcto's shallow and subduction scenarios over event rate and
false picks. Every method gets the picks, the stations, the velocity model that the travel times come from,
and what is known of the region (`REGION`: in a subduction zone the depth and the distance to be searched),
else its defaults. PhaseLink was trained for the network of the stress test, and takes part in that alone.

An event is right if its Jaccard index with a true one is at least 0.5 (equations 1 to 4 of the PhaseLink
paper). Recall counts the true events with at least as many picks as `LEAST`; precision counts all. Each
method and sequence has a process of its own, with one thread: memory is its peak, speed is picks over
processor time, and one that takes longer than the limit is stopped and has no figures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from seisflow.association import Associator, associate_picks
from seisflow.method import build
from seisflow.synthetic import compare_associations
from seisflow.synthetic.sequences import Borrego, Japan, SequenceScenario, Shallow, Subduction
from seisflow.synthetic.sequences.japan import MEAN_GAPS_S

METHODS: dict[str, Callable[[str], dict[str, Any] | None]] = {
    "pyocto": lambda family: {"method": "pyocto", **REGION.get(family, {})},
    "gamma": lambda family: {"method": "gamma", **REGION.get(family, {})},
    "phaselink": lambda family: (
        {"method": "phaselink", "weights": str(WEIGHTS[family])} if family in WEIGHTS else None
    ),
}
"""The workflow block of each method, given the family of a scenario; None where it can not do it."""

WEIGHTS = {"japan": Path(__file__).parent / "phaselink" / "japan.weights"}
"""PhaseLink's are for one network."""

REGION = {"subduction": {"depth_max_km": 200.0, "max_distance_km": 400.0}}
LEAST = {"japan": 8, "borrego": 8, "shallow": 10, "subduction": 10}
"""Picks from which a true event counts for recall: n_nuc of PhaseLink, and PyOcto's rule."""
FALSE_FACTORS = (0.3, 1.0, 3.0)
EVENTS_PER_DAY = (100, 500, 2000)
COLUMNS = ("event_precision", "event_recall", "event_f1", "jaccard_precision", "jaccard_recall", "pick_f1")
MEGABYTE = 1024.0
"""ru_maxrss counts kilobytes."""


class Case(NamedTuple):
    """A sequence: its name in keys, its family, and what makes it."""

    name: str
    family: str
    scenario: SequenceScenario


def all_cases() -> list[Case]:
    """Return every sequence of the table."""
    cases = [Case(f"{gap:g}s", "japan", Japan(mean_gap_s=gap)) for gap in MEAN_GAPS_S]
    cases.append(Case("borrego", "borrego", Borrego()))
    for family, kind in (("shallow", Shallow), ("subduction", Subduction)):
        for n_events in EVENTS_PER_DAY:
            for factor in FALSE_FACTORS:
                scenario = kind(n_events=n_events, false_factor=factor)
                cases.append(Case(f"{family}_{n_events}_{factor:g}", family, scenario))
    return cases


def shortened(case: Case, n_events: int) -> Case:
    """Return a sequence with no more than so many events at the same rate of events.

    A day that loses events would lose its rate, so the scenarios of a day are left as they are.
    """
    if case.family != "japan" or case.scenario.n_events <= n_events:
        return case
    return case._replace(scenario=case.scenario.model_copy(update={"n_events": n_events}))


def measure(case: Case, method: str, seed: int) -> dict[str, Any]:
    """Associate one sequence by one method; return its scores, speed and memory."""
    sequence = case.scenario.make(seed)
    associator = build("association", METHODS[method](case.family))
    if not isinstance(associator, Associator):
        raise TypeError(f"{method} is no associator")
    few = sequence.picks.head(200)  # imports and compilation are not part of the speed
    associate_picks(few, sequence.stations, associator, sequence.velocity)
    began, wall = time.process_time(), time.perf_counter()
    catalog = associate_picks(sequence.picks, sequence.stations, associator, sequence.velocity)
    cpu_s, wall_s = time.process_time() - began, time.perf_counter() - wall
    scores = compare_associations(catalog, sequence.truth, min_picks=LEAST[case.family]).summary()
    n_picks = len(sequence.picks)
    speed = {"n_picks": n_picks, "cpu_s": cpu_s, "wall_s": wall_s, "picks_per_s": n_picks / cpu_s}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    return scores | speed | {"peak_rss_mb": peak}


def _work(sending: Any, case: Case, method: str, seed: int) -> None:
    sending.send(measure(case, method, seed))


def in_own_process(case: Case, method: str, seed: int, limit_s: float) -> dict[str, Any] | None:
    """Return the figures of `measure`, or None where it took longer than the limit."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sending, case, method, seed))
    process.start()
    sending.close()
    try:
        return receiving.recv() if receiving.poll(limit_s) else None
    except EOFError as error:
        raise RuntimeError(f"{method} failed on {case.name}; its message stands above") from error
    finally:
        process.terminate()
        process.join()


def keys_of(results: dict[tuple[str, str], dict[str, Any] | None], methods: list[str]) -> dict[str, Any]:
    """Return flat figures: per method and sequence, means over families, speed over all picks."""
    figures: dict[str, Any] = {}
    short = {"event_precision": "precision", "event_recall": "recall", "event_f1": "f1"}
    for (method, name), scores in results.items():
        for key in (*COLUMNS, "picks_per_s", "peak_rss_mb"):
            figures[f"{method}_{short.get(key, key)}_{name}"] = (
                None if scores is None else round(scores[key], 4)
            )
    for method in methods:
        own = {name: scores for (by, name), scores in results.items() if by == method}
        for family in ("shallow", "subduction"):
            parts = [scores for name, scores in own.items() if name.startswith(family)]
            if parts and all(parts):
                figures[f"{method}_f1_{family}"] = round(
                    sum(part["event_f1"] for part in parts if part) / len(parts), 4
                )
        done = [scores for scores in own.values() if scores]
        if done:
            total = sum(scores["cpu_s"] for scores in done)
            figures[f"{method}_picks_per_s"] = round(sum(scores["n_picks"] for scores in done) / total, 1)
            figures[f"{method}_peak_rss_mb"] = round(max(scores["peak_rss_mb"] for scores in done), 1)
    return figures


def row(case: str, method: str, scores: dict[str, Any] | None) -> str:
    """Return a line of the table."""
    if scores is None:
        return f"{case:22} {method:9} stopped at the limit"
    values = " ".join(f"{scores[key]:6.3f}" for key in COLUMNS)
    counts = (
        f"{scores['n_events']:6} {scores['n_true_events']:6} {scores['n_split']:5} {scores['n_merged']:6}"
    )
    return f"{case:22} {method:9} {values} {counts} {scores['picks_per_s']:8.0f} {scores['peak_rss_mb']:6.0f}"


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, the table to stderr")
    parser.add_argument("--quick", action="store_true", help="three short sequences, under a minute")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument(
        "--scenarios", nargs="+", help="names, or beginnings of names, such as 10s or shallow_500"
    )
    parser.add_argument("--events", type=int, help="events of each sequence of the stress test, 5000 in full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--limit-s", type=float, default=7200.0, help="longest time for a method and a sequence"
    )
    return parser.parse_args()


def main() -> None:
    """Run the table."""
    chosen = arguments()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # more cost GaMMA more than they give
    cases = all_cases()
    if chosen.quick:
        short = {"64s": Japan(n_events=20), "10s": Japan(n_events=20, mean_gap_s=10.0)}
        cases = [case._replace(scenario=short[case.name]) for case in cases if case.name in short]
        cases.append(Case("subduction", "subduction", Subduction(n_events=6)))
    if chosen.scenarios:
        cases = [case for case in cases if case.name.startswith(tuple(chosen.scenarios))]
    if not cases:
        sys.exit(f"no scenario begins with any of {chosen.scenarios}")
    if chosen.events:
        cases = [shortened(case, chosen.events) for case in cases]
    out = sys.stderr if chosen.json else sys.stdout
    head = " ".join(f"{key:>6}" for key in ("prec", "recall", "F1", "J prec", "J rec", "pickF1"))
    print(
        f"{'sequence':22} {'method':9} {head} events   true split merged  picks/s     MB",
        file=out,
        flush=True,
    )
    results: dict[tuple[str, str], dict[str, Any] | None] = {}
    for case in cases:
        for method in chosen.methods:
            if METHODS[method](case.family) is None:
                continue
            scores = in_own_process(case, method, chosen.seed, chosen.limit_s)
            results[method, case.name] = scores
            print(row(case.name, method, scores), file=out, flush=True)
    if chosen.json:
        print(json.dumps(keys_of(results, chosen.methods)))


if __name__ == "__main__":
    main()
