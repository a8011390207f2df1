"""Receivers under a fuzzer that follows coverage; `make soak` takes longer over it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("seconds", [10, pytest.param(600, marks=pytest.mark.soak)])
def test_nothing_but_refusals_comes_out_of_a_receiver(tmp_path: Path, seconds: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.events.receivers.fuzz", str(seconds)],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
