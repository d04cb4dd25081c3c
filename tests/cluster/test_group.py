"""Who started this process, and with whom it trains, read from the environment alone."""

from __future__ import annotations

import os

import pytest

from scanlens.cluster.group import Group, group_of_this_process
from scanlens.errors import RunError

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "abc", "TORCHELASTIC_RESTART_COUNT": "0", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2", "MASTER_ADDR": "n1", "MASTER_PORT": "29500",
}  # fmt: skip
SRUN = {
    "SLURM_JOB_ID": "17", "SLURM_NTASKS": "4", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1", "SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NODELIST": "gpu[03-04]",
}  # fmt: skip


def test_a_process_that_was_started_alone_has_no_group() -> None:
    assert group_of_this_process({}) is None
    assert group_of_this_process({"SLURM_JOB_ID": "17", "SLURM_NTASKS": "1"}) is None
    assert group_of_this_process(TORCHRUN | {"WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "RANK": "0"}) is None


def test_torchrun_on_two_machines() -> None:
    group = group_of_this_process(TORCHRUN)
    assert group == Group(3, 4, 1, 2, "n1", 29500, start="torchrun-abc-0", by="torchrun")
    assert (group.num_nodes, group.leads) == (2, False)


def test_a_start_of_torchrun_without_a_name_is_named_by_its_agent() -> None:
    alone = TORCHRUN | {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "RANK": "0", "GROUP_WORLD_SIZE": "1"}
    group = group_of_this_process(alone)
    assert group is not None
    assert group.start.startswith(f"torchrun-{os.getppid()}-")
    assert group.leads
    with pytest.raises(RunError, match="--rdzv-id"):
        group_of_this_process(TORCHRUN | {"TORCHELASTIC_RUN_ID": "none"})


def test_a_name_that_is_no_file_name_is_made_one() -> None:
    group = group_of_this_process(TORCHRUN | {"TORCHELASTIC_RUN_ID": "../../x y"})
    assert group is not None
    assert group.start == "torchrun-..-..-x-y-0"


def test_srun_on_two_machines() -> None:
    group = group_of_this_process(SRUN)
    assert group == Group(3, 4, 1, 2, "gpu03", 15_119, start="slurm-17-0-0", by="srun")
    assert group_of_this_process(SRUN | {"SLURM_RESTART_COUNT": "2"}).start == "slurm-17-0-2"  # type: ignore[union-attr]
    own = group_of_this_process(SRUN | {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "5"})
    assert own is not None
    assert (own.address, own.port) == ("10.0.0.1", 5)


@pytest.mark.parametrize(
    ("nodes", "num", "first"),
    [("a,b", 2, "a"), ("gpu[003,7]", 2, "gpu003"), ("n1", 1, "127.0.0.1"), ("rack1-n[2-3]", 2, "rack1-n2")],
)
def test_the_first_machine_of_a_list(nodes: str, num: int, first: str) -> None:
    tasks = {1: "4", 2: "2(x2)"}[num]
    changed = {
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_NUM_NODES": str(num),
        "SLURM_STEP_TASKS_PER_NODE": tasks,
    }
    group = group_of_this_process(SRUN | changed)
    assert group is not None
    assert group.address == first


def test_a_batch_script_without_srun_is_told_the_remedy() -> None:
    batch = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    with pytest.raises(RunError, match="Start them with srun"):
        group_of_this_process(batch)


def test_a_shell_within_an_allocation_is_alone() -> None:
    assert group_of_this_process({"SLURM_JOB_ID": "17", "SLURM_NTASKS": "2"}) is None


def test_machines_with_unequally_many_tasks_are_refused() -> None:
    with pytest.raises(RunError, match="unequally"):
        group_of_this_process(SRUN | {"SLURM_STEP_TASKS_PER_NODE": "3,1"})


def test_two_tasks_of_submitits_local_launcher_are_refused() -> None:
    with pytest.raises(RunError, match="tasks_per_node=1"):
        group_of_this_process({"SUBMITIT_EXECUTOR": "local", "SUBMITIT_LOCAL_NTASKS": "2"})
