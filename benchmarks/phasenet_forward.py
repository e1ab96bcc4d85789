"""PhaseNet's forward pass on a CPU: the compiled network beside torch's, in windows a second.

Usage: python benchmarks/phasenet_forward.py [--json] [--quick] [--threads N ...]

Windows are SeisBench's, 3 components of 3,001 samples, already normalised; torch gets them in batches of 64,
once as the network is and once with its batch normalisations folded in (`for_inference`). The sides take
turns in every round, and the best round of each counts: in windows a second of the clock (`windows_s`), and
of one processor (`windows_cpu_s`), which other work on the machine disturbs less.
Beside them, a trace of 1,000,000 samples goes through the compiled network as one window; its samples
are divided by 3,001 for comparison. The weights are random: the time does not depend on them.
`compile_s` is the first use after installation, processor time of a fresh process; later ones find the
compiled network on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch

from seisflow.picking.networks.direct import DirectPhaseNet
from seisflow.picking.networks.phasenet import PhaseNetNetwork

N_SAMPLES, BATCH, N_TRACE = 3001, 64, 1_000_000
MFLOP = 38.9
"""Of one window, counted as the layers are defined: 2 for each weight and output."""
FIRST_USE = """
import time, torch, numba.core.codegen, torch.nn.utils.fusion
started = time.process_time()
import seisflow.picking.networks.direct
print(time.process_time() - started)
"""


def compile_s() -> float:
    """Return the processor time of the first use after installation."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", FIRST_USE]
        return float(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


def best_rates(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the best windows a second, of the clock and of a processor, of sides that take turns."""
    rates = dict.fromkeys(sides, (0.0, 0.0))
    for _ in range(rounds):
        for name, side in sides.items():
            clock, processor = time.perf_counter(), time.process_time()
            done = side()
            spent = time.perf_counter() - clock, time.process_time() - processor
            rates[name] = (max(rates[name][0], done / spent[0]), max(rates[name][1], done / spent[1]))
    return rates


def measure(threads: int, quick: bool) -> dict[str, float]:
    """Return windows a second of all sides."""
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((2 * BATCH if quick else 8 * BATCH, 3, N_SAMPLES), np.float32)
    trace = rng.standard_normal((3, N_TRACE // 10 if quick else N_TRACE), np.float32)
    torch.manual_seed(1)
    network = PhaseNetNetwork().eval()
    direct = DirectPhaseNet(network.state_dict())
    folded = PhaseNetNetwork()
    folded.load_state_dict(network.state_dict())
    folded = folded.for_inference()
    tensor = torch.from_numpy(windows[: 2 * BATCH])
    torch.set_num_threads(threads)
    with torch.inference_mode():
        difference = np.abs(direct.forward(windows[:BATCH]) - network(tensor[:BATCH]).numpy()).max()

        def by_torch(side: torch.nn.Module) -> float:
            for first in range(0, len(tensor), BATCH):
                side(tensor[first : first + BATCH])
            return len(tensor)

        def by_windows() -> float:
            return len(direct.forward(windows, threads))

        def by_trace() -> float:
            return direct.forward_trace(trace, threads).shape[1] / N_SAMPLES

        sides = {
            "compiled": by_windows,
            "compiled_trace": by_trace,
            "torch": lambda: by_torch(network),
            "torch_folded": lambda: by_torch(folded),
        }
        rates = best_rates(sides, 2 if quick else 7)
    figures = {"threads": float(threads), "largest_difference": float(difference)}
    for i, unit in enumerate(("windows_s", "windows_cpu_s")):
        figures |= {f"{name}_{unit}": round(rate[i], 1) for name, rate in rates.items()}
    ours, eager, fused = (rates[name][1] for name in ("compiled", "torch", "torch_folded"))
    figures |= {"speedup_cpu": round(ours / eager, 2), "speedup_cpu_folded": round(ours / fused, 2)}
    return figures | {"gflop_cpu_s": round(MFLOP * ours / 1000, 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="few windows and rounds")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    results = {
        "compile_s": round(compile_s(), 2),
        "rounds": [measure(threads, options.quick) for threads in options.threads],
    }
    if options.json:
        print(json.dumps(results, indent=2))
        return
    print(f"compilation at the first use: {results['compile_s']} s")
    for figures in results["rounds"]:
        print("\n".join(f"{name:26s} {value}" for name, value in figures.items()), end="\n\n")


if __name__ == "__main__":
    main()
