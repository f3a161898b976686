"""Schedules of a consumer group under faults: `PYTHONPATH=tests python -m sim.group_sim SEED` runs one.

Members join, stall, die, come back as zombies or beside themselves, commit late, alone or in transactions; they assign
eagerly or cooperatively, dynamic and static ones together. Requests and answers are lost; the coordinator crashes, at
any time and right after a record, and replays its log. After each step the invariants in group_world.py hold; then
everything heals, and the group has to settle and go on.
"""

import sys

from sim.group_assignors import COOPERATIVE, EAGER, STICKY
from sim.group_client import Client
from sim.group_world import GROUP, PARTITIONS, World

FAULTS_MS = 30_000
HEALING_MS = 28_000
PROGRESS_MS = 5_000


class Schedule:
    """One seed's run."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        chance = self.world.random
        self.transactional = chance.random() < 0.5
        self.cooperative = chance.random() < 0.4
        self.clients: list[Client] = []
        for number in range(chance.randint(1, 4)):
            instance_id = f"i{number}" if chance.random() < 0.3 else None
            self._start(f"c{number}", instance_id)

    def _start(self, name: str, instance_id: str | None) -> None:
        delay_ms = self.world.random.randint(0, 3_000)
        world, transactional = self.world, self.transactional
        protocols: tuple[str, ...] = (COOPERATIVE,)
        if not self.cooperative:
            protocols = world.random.choice([(STICKY, EAGER), (EAGER, STICKY)])
        world.after(delay_ms, lambda: self.clients.append(Client(world, name, instance_id, transactional, protocols)))

    def run(self) -> None:
        """Raises AssertionError where something does not hold."""
        world = self.world
        end_ms = world.now_ms + FAULTS_MS
        while world.now_ms < end_ms:
            world.run_until(min(world.now_ms + world.random.randint(100, 4_000), end_ms))
            self._harm()
        world.loss = 0
        for client in self.clients:
            if client.alive or world.random.random() < 0.5:
                client.wake()
        if not any(client.alive for client in self.clients):
            self._start("last", None)
        world.run_until(world.now_ms + HEALING_MS)
        if self.cooperative:
            # A static member that is replaced after it was told to give partitions back, and before it joins again,
            # gets its assignment without a rebalance: what it was to give back waits for the next one, on Kafka too.
            for client in self.clients:
                client.look_again()
            world.run_until(world.now_ms + HEALING_MS)
        self._check_settled()
        before = self._committed()
        world.run_until(world.now_ms + PROGRESS_MS)
        after = self._committed()
        stuck = [partition for partition in range(PARTITIONS) if after[partition] <= before[partition]]
        assert not stuck, f"partitions {stuck} do not go on after all has healed: {after}"

    def _harm(self) -> None:
        chance = self.world.random
        if chance.random() < 0.2:
            self.world.broker.crash(chance.randint(10, 3_000))
        if not self.clients:
            return
        client = chance.choice(self.clients)
        match chance.randint(0, 6):
            case 0:
                client.die()
            case 1 | 2:
                client.stall(chance.randint(100, 15_000))
                if client.instance_id is not None and chance.random() < 0.5:
                    self._start(f"{client.name}'", client.instance_id)
            case 3:
                client.wake()
            case 4:
                client.leave()
            case 5 if len(self.clients) < 6:
                self._start(f"d{len(self.clients)}", None)

    def _committed(self) -> list[int]:
        committed = self.world.broker.coordinator.committed(GROUP)
        offsets = {partition: stored.offset for (_, partition), stored in committed.items()}
        return [offsets.get(partition, 0) for partition in range(PARTITIONS)]

    def _check_settled(self) -> None:
        view = self.world.broker.coordinator.view(GROUP)
        living = sorted(client.member_id for client in self.clients if client.alive)
        assert view is not None
        assert view.state == "Stable", f"{view}; living: {living}"
        members = sorted(member.member_id for member in view.members)
        assert members == living, f"members: {members}; living: {living}"
        assigned = sorted(partition for member in view.members for partition in member.assignment)
        assert assigned == list(range(PARTITIONS)), f"assigned: {assigned}"


if __name__ == "__main__":
    Schedule(int(sys.argv[1])).run()
