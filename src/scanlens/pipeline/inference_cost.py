"""What one prediction costs: seconds and memory, measured in a process of its own on a single thread of the processor."""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

WARM_UP, REPEATS, LONGEST_S = 2, 15, 20.0
METHOD = (
    "seconds per image: median of at most 15 predictions of one random image after warm-up, float32, one processor thread, "
    "without decoding and preparing the image; memory: the most that loading the network and predicting added to the "
    "process (Linux)"
)
_STATUS = Path("/proc/self/status")


def inference_cost(run_dir: Path) -> dict[str, Any]:
    """{seconds_per_image, memory_mib} of the network of a run; the memory is None where the system does not tell.

    A process that has done nothing else is started, so that neither memory nor threads of this one count.

    Raises:
        RunError: if the run holds no network.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_measured, run_dir).result()


def _measured(run_dir: Path) -> dict[str, Any]:
    import torch

    import scanlens.pipeline.build  # noqa: F401 - all that load_run imports, so that it does not count
    from scanlens.runs import load_run

    torch.set_num_threads(1)
    with torch.inference_mode():
        torch.nn.Conv2d(1, 8, 3)(torch.zeros(1, 1, 16, 16))  # libraries that the first convolution loads
    before = _forget_peak()
    run, network = load_run(run_dir)
    size = run.facts["input_size"]
    image = torch.rand(1, run.facts["in_channels"], size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        seconds = _timed(lambda: network(image))
    highest = _memory_mib("VmHWM")
    memory = None if before is None or highest is None else round(highest - before, 1)
    return {"seconds_per_image": statistics.median(seconds), "memory_mib": memory}


def _timed(predict: Any) -> list[float]:
    for _ in range(WARM_UP):
        predict()
    seconds: list[float] = []
    while len(seconds) < REPEATS and sum(seconds) < LONGEST_S:
        began = time.perf_counter()
        predict()
        seconds.append(time.perf_counter() - began)
    return seconds


def _forget_peak() -> float | None:
    """The memory of now, from which on the highest is noted anew (Linux; see proc(5), clear_refs)."""
    peak = Path("/proc/self/clear_refs")
    if peak.exists():
        with contextlib.suppress(OSError):
            peak.write_text("5", encoding="ascii")
    return _memory_mib("VmRSS")


def _memory_mib(name: str) -> float | None:
    """A line of the kernel's own account of this process; None where there is none."""
    if not _STATUS.is_file():
        return None
    found = [
        line.split()[1] for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith(f"{name}:")
    ]
    return int(found[0]) / 1024 if found else None
