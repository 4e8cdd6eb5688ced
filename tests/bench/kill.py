"""Kill the app and its jobs at random moments, and check after each that nothing is lost.

    python -m tests.bench.kill --rounds 50

Each round uploads drawn photos over REST, asks for a quick retraining, waits a random while, and
sends SIGKILL to the app or to the job. Then the app is started again, and must have every photo
whose upload was answered, every version that was ever listed, the same active version or the one
that a finished job put live, and no job that runs without a process.
"""

import argparse
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

from data.drawings import draw_fruit
from data.labels import BASE_LABELS
from models.registry import open_registry

ROOT = Path(__file__).parents[2]
PHOTOS = 3  # a round
OVER = {"succeeded", "rejected", "failed", "cancelled"}


@dataclass
class Known:
    """What must survive every kill."""

    photos: Counter[str] = field(default_factory=Counter)
    versions: set[str] = field(default_factory=set)
    kills: Counter[str] = field(default_factory=Counter)


def main() -> int:
    """Run the rounds, print what happened, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--longest-wait-s", type=float, default=25.0)
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args()
    rng, known = random.Random(options.seed), Known()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        process, client = start(state)
        for number in range(options.rounds):
            upload(client, known, rng)
            client.post("/api/retrain", json={"mode": "quick"})
            time.sleep(rng.uniform(0, options.longest_wait_s))
            known.versions |= {m["version"] for m in client.get("/api/models").json()}
            pid = next((int(j["pid"]) for j in client.get("/api/jobs").json() if j["pid"]), 0)
            target = "job" if pid and rng.random() < 0.4 else "app"
            known.kills[target] += 1
            if target == "job":
                os.kill(pid, signal.SIGKILL)
                wait_until(partial(gone, pid), "the killed job is gone")
            else:
                chosen = open_registry(state).active().version
                process.kill()
                process.wait()
                process, client = start(state)
                served = client.get("/api/health").json()["version"]
                live = {j["version"] for j in client.get("/api/jobs").json()}
                check(served == chosen or served in live, f"{served} is served, not {chosen}")
            examine(client, known)
            print(f"round {number + 1}: {target} killed; {states(client)}", flush=True)
        wait_until(lambda: set(states(client)) <= OVER, "every job ends", timeout_s=600)
        examine(client, known)
        print(
            f"{options.rounds} kills {dict(known.kills)}: {sum(known.photos.values())} photos, "
            f"{len(known.versions)} versions kept; jobs {states(client)}"
        )
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    return 0


def start(state: Path) -> "tuple[subprocess.Popen[str], httpx.Client]":
    """Start the app over the state directory, and return it with a client."""
    environment = os.environ | {
        "FRUIT_STATE_DIR": str(state),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": "0",
    }
    log = (state / "app.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", "app"], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
        stderr=log, text=True,
    )  # fmt: skip
    assert process.stdout
    line = process.stdout.readline()
    check(line.startswith("Running on"), f"the app starts; it said {line!r}")
    return process, httpx.Client(base_url=line.split()[2], timeout=60)


def upload(client: httpx.Client, known: Known, rng: random.Random) -> None:
    """Upload drawn photos of one class, and count those that were added."""
    label = rng.choice(BASE_LABELS)
    files = []
    for number in range(PHOTOS):
        buffer = io.BytesIO()
        draw_fruit(label, rng.randrange(120, 300), rng.randrange(1_000_000)).save(buffer, "PNG")
        files.append(("file", (f"{number}.png", buffer.getvalue())))
    answer = client.post("/api/upload_retrain_data", data={"class_name": label}, files=files)
    known.photos[label] += answer.json()["counts"].get("added", 0)


def examine(client: httpx.Client, known: Known) -> None:
    """Check that all is there and that no job is stuck."""
    photos = {c["class_name"]: c["photos"] for c in client.get("/api/classes").json()}
    for label, count in known.photos.items():
        check(photos.get(label, 0) == count, f"{label}: {photos.get(label)} of {count} photos")
    models: list[dict[str, Any]] = client.get("/api/models").json()
    missing = known.versions - {m["version"] for m in models}
    check(not missing, f"versions {missing} are there")
    check(sum(m["active"] for m in models) == 1, "one version is live")
    # A process that was killed is noticed at once; one of a dead app ends when it gets its turn.
    wait_until(lambda: not stuck(client), "no job runs without a process", timeout_s=10)


def stuck(client: httpx.Client) -> list[int]:
    """Return the jobs that are said to run in a process that is gone."""
    return [
        job["job_id"]
        for job in client.get("/api/jobs").json()
        if job["state"] == "running" and job["pid"] and not psutil.pid_exists(job["pid"])
    ]


def states(client: httpx.Client) -> dict[str, int]:
    """Return how many jobs are in each state."""
    return dict(Counter(j["state"] for j in client.get("/api/jobs").json()))


def gone(pid: int) -> bool:
    """Whether no process has that number."""
    return not psutil.pid_exists(pid)


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 20) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        check(time.monotonic() < deadline, f"in {timeout_s:.0f} s {what}")
        time.sleep(0.2)


def check(holds: bool, what: str) -> None:
    """End with an error unless it holds."""
    if not holds:
        raise SystemExit(f"FAILED: {what}")


if __name__ == "__main__":
    sys.exit(main())
