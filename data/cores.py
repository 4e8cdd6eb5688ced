"""How much of the machine this process may use."""

import os


def available_cores() -> int:
    """Return how many cores this process may use (a container may allow fewer than there are)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
