"""What a process holds in memory for itself alone."""

from pathlib import Path


def private_mb(pid: int) -> float:
    """Pages that no other process shares, those of its mapped files that are clean too; in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1000


def peak_mb(pid: int) -> float:
    """The most that was resident at any time, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000
