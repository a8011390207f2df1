"""Receivers under a fuzzer that follows coverage: the same tries in every run, ten minutes of others in `make soak`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("much", ["20000:1", pytest.param("600", marks=pytest.mark.soak)])
def test_nothing_but_refusals_comes_out_of_a_receiver(tmp_path: Path, much: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.events.receivers.fuzz", much],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
