"""Schedules of transactional producers under faults: `PYTHONPATH=tests python -m sim.transaction_sim SEED` runs one.

Producers start beside each other under one transactional id, stall, die, and come back as zombies; requests and answers
are lost; the broker crashes and loses what it had not synced. All along, what a read-committed consumer sees must be
whole transactions that were to be committed, all that were reported as committed among them; and no zombie gets
anything in. Then everything heals: no transaction may stay open or prepared, and new ones must go through.
"""

import sys
from collections import Counter

from sim.transaction_client import Client, Transaction
from sim.transaction_world import TIMEOUT_MS, World

IDS = ("a", "b")
FAULTS_MS = 20_000
PROGRESS_MS = 4_000


class Schedule:
    """One seed's run."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.history: list[Transaction] = []
        self.clients: list[Client] = []
        self.instances: Counter[str] = Counter()
        for transactional_id in IDS:
            self._start(transactional_id)

    def _start(self, transactional_id: str) -> Client:
        self.instances[transactional_id] += 1
        client = Client(self.world, transactional_id, self.instances[transactional_id], self.history)
        self.clients.append(client)
        return client

    def run(self) -> None:
        """Raises AssertionError where something does not hold."""
        world = self.world
        end_ms = world.now_ms + FAULTS_MS
        while world.now_ms < end_ms:
            world.run_until(world.now_ms + world.random.randint(50, 1_500))
            self.check()
            self._harm()
        world.loss = 0
        for client in self.clients:
            client.die()
        # What stalled clients sent may be under way for three timeouts, and begin a transaction then.
        world.run_until(world.now_ms + 5 * TIMEOUT_MS)
        self._check_settled()
        new = [self._start(transactional_id) for transactional_id in IDS]
        world.run_until(world.now_ms + PROGRESS_MS)
        assert all(client.committed for client in new), "after all has healed, nothing is committed"
        self.check()

    def _harm(self) -> None:
        chance = self.world.random
        living = [client for client in self.clients if client.alive]
        match chance.randint(0, 7):
            case 0 | 1:
                self.world.broker.crash(chance.randint(1, 1_500))
            case 2:
                self._start(chance.choice(IDS))
            case 3 | 4 if living:
                client = chance.choice(living)
                client.stall(chance.randint(100, 3 * TIMEOUT_MS))
                if chance.random() < 0.7:
                    self._start(client.transactional_id)
            case 5 if living:
                chance.choice(living).die()
        for transactional_id in IDS:
            if not any(client.alive and client.transactional_id == transactional_id for client in self.clients):
                self._start(transactional_id)

    def check(self) -> None:
        """What is visible is made of whole transactions, each record once, each of them meant to be committed."""
        visible = Counter(value for partition in self.world.broker.partitions for value in partition.visible())
        twice = [value for value, count in visible.items() if count > 1]
        assert not twice, f"visible twice: {twice}"
        names: dict[str, set[tuple[str, int, int]]] = {}
        for value in visible:
            names.setdefault(value[0], set()).add(value)
        for transaction in self.history:
            seen = names.pop(transaction.name, set())
            if transaction.outcome:
                assert seen == transaction.acknowledged, f"{transaction.name} is committed, visible is {seen}"
            if not transaction.commit_asked or transaction.outcome is False:
                assert not seen, f"{transaction.name} is not to be committed, visible is {seen}"
        assert not names, f"visible, and of no transaction: {names}"

    def _check_settled(self) -> None:
        broker = self.world.broker
        open_logs = [partition.producers.open_transactions() for partition in broker.partitions]
        assert not any(open_logs), f"open after all has healed: {open_logs}"
        for transaction in broker.coordinator.all():
            assert not transaction.partitions, f"not ended after all has healed: {transaction}"
            assert not transaction.state.prepared, f"not ended after all has healed: {transaction}"
        self.check()
        visible = {value for partition in broker.partitions for value in partition.visible()}
        for transaction in self.history:
            seen = {value for value in visible if value[0] == transaction.name}
            assert seen in (set(), transaction.acknowledged), f"{transaction.name} is committed in part: {seen}"


if __name__ == "__main__":
    Schedule(int(sys.argv[1])).run()
