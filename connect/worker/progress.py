"""What the worker is doing, for those who watch: states, counts and the last error of each task. Values only."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class TaskProgress:
    """State as in Kafka Connect: UNASSIGNED, RUNNING, RESTARTING, FAILED; DONE at the end of a bounded run, or STOPPED.

    rows and bytes: since this process started. waiting_for: what keeps a running task from going on.
    position: up to where this process has committed, for people. remark: what the task itself has to say.
    first_letter: which record was set aside first, and why.
    """

    connector: str
    task: int
    kind: str
    state: str = "UNASSIGNED"
    rows: int = 0
    bytes: int = 0
    dead_letters: int = 0
    restarts: int = 0
    error: str = ""
    waiting_for: str = ""
    position: str = ""
    remark: str = ""
    first_letter: str = ""

    def noted(self, remark: str) -> None:
        self.remark = remark


@dataclass(slots=True)
class WorkerProgress:
    tasks: list[TaskProgress] = field(default_factory=list)

    def task(self, connector: str, task: int, kind: str) -> TaskProgress:
        progress = TaskProgress(connector, task, kind)
        self.tasks.append(progress)
        return progress
