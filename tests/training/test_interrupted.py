"""Ctrl-C and SIGTERM lose no step of a training: real processes, real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from seisflow.training.trainer import Trainer
from tests.training.test_trainer import SMALL

RECIPE = SMALL.model_copy(update={"steps": 16, "report_every": 1000})
"""Without a report before the end, the only checkpoint on the way is that of the interrupt."""

SLOW = """
import sys, time
from seisflow.training.loop import Loop

one_step = Loop._one_step

def slow_step(self):
    print("begins", self.step, flush=True)
    time.sleep({seconds})
    loss = one_step(self)
    print("ended", self.step, flush=True)
    return loss

Loop._one_step = slow_step
from seisflow.cli import main
sys.argv = ["seisflow", "train", "picker", *sys.argv[1:]]
main()
"""


def start(folder: Path, *options: str, seconds: float = 0.02) -> subprocess.Popen[str]:
    """Return a training in a process of its own, which says when a step begins and ends."""
    recipe = folder.with_suffix(".yaml")
    recipe.write_text(yaml.safe_dump(RECIPE.model_dump(mode="json")))
    command = [sys.executable, "-c", SLOW.format(seconds=seconds), "--out", str(folder)]
    return subprocess.Popen(
        [*command, "--recipe", str(recipe), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    """Read what a process prints up to a line."""
    assert process.stdout is not None
    assert line in (text.strip() for text in process.stdout), process.stderr and process.stderr.read()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_goes_on_as_if_nothing_had_been(tmp_path: Path, sent: signal.Signals) -> None:
    process = start(tmp_path / "parts")
    wait_for(process, "begins 3")
    process.send_signal(sent)
    said, warned = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "--resume" in warned
    state = torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)
    last = [int(line.split()[1]) for line in said.splitlines() if line.startswith("ended")][-1]
    assert 4 <= state["step"] == last < RECIPE.steps

    resumed = start(tmp_path / "parts", "--resume", seconds=0.0)
    said, warned = resumed.communicate(timeout=240)
    assert resumed.returncode == 0, warned
    assert said.splitlines()[0] == f"begins {last}"
    whole = Trainer(RECIPE, tmp_path / "whole")
    assert whole.run()
    parts = torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)
    for name, value in whole.mean.state_dict().items():
        assert torch.equal(value, parts["mean"][name]), name


def test_a_second_interrupt_does_not_wait_for_the_step(tmp_path: Path) -> None:
    process = start(tmp_path / "out", seconds=600.0)
    try:
        wait_for(process, "begins 0")
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):  # one is held back until the step ends
            process.wait(timeout=1.0)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60.0) == 130
    finally:
        process.kill()
        process.communicate()
