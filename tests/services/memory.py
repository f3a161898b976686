"""What a process holds in memory for itself alone."""

from pathlib import Path


def private_mb(pid: int) -> float:
    """Pages that no other process shares, those of its mapped files that are clean too; in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1000
