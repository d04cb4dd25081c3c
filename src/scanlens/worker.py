"""One rank of a training that the run itself started: `python -m scanlens.worker RUN_FOLDER`, below `scanlens.agent`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from scanlens.agent import AGENT
from scanlens.cluster import stopping
from scanlens.cluster.parent import die_with_parent


def main() -> None:
    """Read the frozen configuration of the run folder and train."""
    with stopping.listening():
        die_with_parent(int(os.environ[AGENT]))
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
        from scanlens.pipeline.fit import fit_this_process
        from scanlens.runs import Run

        fit_this_process(Run(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
