"""torchrun as a child of the run: `python -m scanlens.agent PARENT [words of torchrun]`. It and its ranks end with the run."""

from __future__ import annotations

import os
import sys

from scanlens.cluster.parent import die_with_parent

AGENT = "SCANLENS_AGENT"  # process number of the agent, for its ranks


def main() -> None:
    """Start the ranks and wait for them."""
    parent, *words = sys.argv[1:]
    die_with_parent(int(parent))
    os.environ[AGENT] = str(os.getpid())
    from torch.distributed.run import main as torchrun

    torchrun(words)


if __name__ == "__main__":
    main()
