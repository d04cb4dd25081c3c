"""A group of processes, as Lightning wants to hear of it."""

from __future__ import annotations

from lightning_fabric.plugins.environments import ClusterEnvironment

from scanlens.cluster.group import Group


class GroupEnvironment(ClusterEnvironment):  # type: ignore[misc]
    """Whoever started the processes, Lightning is told the same; it starts none, requeues nothing and takes no signal.

    Args:
        group: of this process.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self.group.address

    @property
    def main_port(self) -> int:
        return self.group.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.group.world

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self.group.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self.group.local_rank

    def node_rank(self) -> int:
        return self.group.rank // self.group.local_world
