"""`python recorded_job.py ARGUMENTS`: the command line with a pipeline that only writes down what it was given."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any

from scanlens import cli
from scanlens.errors import DataError


def train_run(config: dict[str, Any]) -> float:
    folder = Path(config["run_dir"])
    (folder / "seen.json").write_text(json.dumps(config))
    behavior = os.environ.get("FAKE_BEHAVIOR", "")
    if behavior == "data":
        raise DataError("no images under /nowhere")
    if behavior == "crash":
        raise RuntimeError("a mistake of ours")
    if behavior == "sigterm":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    return float(config["seed"])


if __name__ == "__main__":
    pipeline: Any = types.ModuleType("scanlens.pipeline")
    pipeline.train_run = train_run
    pipeline.__path__ = [str(Path(cli.__file__).parent / "pipeline")]  # of which only the job is replaced
    sys.modules["scanlens.pipeline"] = pipeline
    cli.train(sys.argv[1:])
