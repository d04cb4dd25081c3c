"""One rank of a training that torchrun started: `python -m torch.distributed.run ... -m scanlens.worker RUN_FOLDER`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from scanlens.pipeline.fit import fit_this_process
from scanlens.runs import Run


def main() -> None:
    """Read the frozen configuration of the run folder and train."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    fit_this_process(Run(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
