"""`python recorded_job.py ARGUMENTS`: the command line with a pipeline that only writes down what it was given."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any

from scanlens import cli
from scanlens.errors import DataError
from scanlens.pipeline import differences, only_writer


def train_run(config: dict[str, Any]) -> float:
    folder = Path(config["run_dir"])
    (folder / "seen.json").write_text(json.dumps(config))
    behavior, _, seed = os.environ.get("FAKE_BEHAVIOR", "").partition("-")
    if seed and int(seed) != config["seed"]:
        behavior = ""
    if behavior == "data":
        raise DataError("no images under /nowhere")
    if behavior == "crash":
        raise RuntimeError("a mistake of ours")
    if behavior == "sigterm":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    return float(config["seed"])


def try_run(config: dict[str, Any]) -> float:
    train_run(config)
    if os.environ.get("FAKE_BEHAVIOR") == "nan" and config["optim"]["lr"] > 1e-3:
        return math.nan
    return abs(math.log10(config["optim"]["lr"]) + 3)


if __name__ == "__main__":
    pipeline: Any = types.ModuleType("scanlens.pipeline")
    pipeline.train_run, pipeline.try_run = train_run, try_run
    pipeline.only_writer, pipeline.differences = only_writer, differences
    pipeline.__path__ = [str(Path(cli.__file__).parent / "pipeline")]  # of which only the job is replaced
    pipeline.follow_run = None  # only processes that follow call it
    sys.modules["scanlens.pipeline"] = pipeline
    cli.train(sys.argv[1:])
