"""Break the ground under the app in every way at hand, and check that it stands.

    python -m tests.bench.faults --rounds 3              # all faults
    python -m tests.bench.faults --only index model      # some of them

Each fault starts the app over a state folder of its own with photos in it, does the damage, and
then checks that predictions are right, that every photo whose upload was answered is there, that
nothing half-written is, and that the app says what is wrong. `disk` mounts a small tmpfs, which
needs root; `clock` needs libfaketime. What cannot run here says so.
"""

import argparse
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from data.drawings import draw_fruit
from models.registry import open_registry

ROOT = Path(__file__).parents[2]
PHOTOS = 6
DATABASES = ("store/index.db", "jobs/jobs.db", "monitoring/figures.db", "reviews/reviews.db")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


class Broken(Exception):
    """Something does not hold after a fault."""


class Skipped(Exception):
    """A fault cannot be made on this machine, and why."""


@dataclass
class App:
    """An app over a state folder, which can be ended and started again."""

    state: Path
    prefix: tuple[str, ...] = ()
    extra: dict[str, str] = field(default_factory=dict)
    kept: int = 0  # photos whose upload was answered
    process: "subprocess.Popen[str]" = field(init=False)
    client: httpx.Client = field(init=False)

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = os.environ | {
            "FRUIT_STATE_DIR": str(self.state),
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": "0",
        }
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "app"], cwd=ROOT, env=environment | self.extra,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        assert self.process.stderr
        line = self.process.stdout.readline()
        if not line.startswith("Running on"):
            self.process.wait()
            raise Broken(f"the app does not start: {self.process.stderr.read()[-600:]}")
        # Read on, so that a full pipe never stops the app.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.client = httpx.Client(base_url=line.split()[2], timeout=60)

    def end(self, sign: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        status = self.process.wait(30)
        self.client.close()
        assert self.process.stdout
        self.process.stdout.close()
        return status

    def upload(self, seed: int, count: int = PHOTOS) -> httpx.Response:
        """Upload drawn photos of a new class."""
        files = [("file", (f"{n}.png", photo("banana", 100 * seed + n))) for n in range(count)]
        data = {"class_name": "plantain"}
        response = self.client.post("/api/upload_retrain_data", data=data, files=files)
        if response.status_code == 200:
            self.kept += response.json()["counts"].get("added", 0)
        return response

    def drop(self) -> httpx.Response:
        """Send a photo as the page does when one is dropped on it."""
        return self.client.post("/gradio_api/upload", files={"files": ("a.png", photo("apple", 3))})

    def photos(self) -> int:
        """Return how many photos there are."""
        return sum(c["photos"] for c in self.client.get("/api/classes").json())

    def served(self) -> str:
        """Return the version that answers."""
        return str(self.client.get("/api/health").json()["version"])

    def job_until(self, number: int, timeout_s: float) -> dict[str, Any]:
        """Wait until a job is over, or as long as told, and return it."""
        deadline = time.monotonic() + timeout_s
        while True:
            job: dict[str, Any] = self.client.get(f"/api/jobs/{number}").json()
            if job["state"] not in ("queued", "running") or time.monotonic() > deadline:
                return job
            time.sleep(0.2)

    def check_versions(self) -> None:
        """Check that every version is whole, and that nothing else lies beside them."""
        folders = [p for p in (self.state / "models" / "versions").glob("*") if p.is_dir()]
        halves = [p.name for p in folders if not (p / "manifest.json").exists()]
        check(not halves, f"no half version: {halves}")
        for version in open_registry(self.state).list():
            for name in version.checksums:
                version.verify(name)
        self.check()

    def check(self) -> None:
        """Check that it predicts rightly, has its photos, and nothing that was half written."""
        answer = self.client.post("/api/predict", content=photo("orange", 1))
        check(answer.status_code == 200, f"it predicts: {answer.text[:200]}")
        check(answer.json()["label"] == "orange", f"it is right: {answer.json()['label']}")
        found = self.photos()
        check(found == self.kept, f"{found} of {self.kept} photos are there")
        files = [p for p in (self.state / "store" / "images").rglob("*") if p.is_file()]
        halves = [p.name for p in files if p.name.startswith("tmp")]
        uploads = self.state / "gradio"
        halves += [p.name for p in uploads.glob("tmp*") if p.is_file()] if uploads.exists() else []
        check(not halves, f"no half file: {halves}")
        check(len(files) == self.kept, f"{len(files)} files for {self.kept} photos")


def photo(label: str, seed: int) -> bytes:
    """Return a drawn fruit as PNG."""
    buffer = io.BytesIO()
    draw_fruit(label, 160, seed).save(buffer, "PNG")
    return buffer.getvalue()


def check(holds: bool, what: str) -> None:
    """Raise an error unless it holds."""
    if not holds:
        raise Broken(what)


@contextmanager
def running(folder: Path, *prefix: str) -> Iterator[App]:
    """Run an app that has photos, with a command before its own."""
    app = App(folder, prefix)
    app.start()
    try:
        check(app.upload(1).status_code == 200, "photos are taken")
        yield app
    finally:
        app.end(signal.SIGKILL)


def second_app(folder: Path, rng: random.Random) -> None:
    """A second app on the same state folder refuses, and names the first."""
    with running(folder) as app:
        second = subprocess.run(
            [sys.executable, "-m", "app"], cwd=ROOT, capture_output=True, text=True, check=False,
            env=os.environ | {"FRUIT_STATE_DIR": str(folder), "GRADIO_SERVER_PORT": "0"},
        )  # fmt: skip
        check(second.returncode == 2, f"the second ends with 2: {second.returncode}")
        check(f"process {app.process.pid}" in second.stderr, f"it names the first: {second.stderr}")
        app.check()
        app.end(signal.SIGKILL)
        app.start()  # a dead app holds nothing
        app.check()


def sigterm(folder: Path, rng: random.Random, *, with_page: bool = False) -> None:
    """SIGTERM under load: what was begun is answered, and it ends within ten seconds."""
    with running(folder) as app:
        if with_page:
            check(app.client.get("/").status_code == 200, "the page is there")
        answers: list[int | str] = []
        ending = threading.Event()

        def load() -> None:
            with httpx.Client(base_url=app.client.base_url, timeout=30) as client:
                while not ending.is_set():
                    begun_before = not ending.is_set()
                    try:
                        response = client.post("/api/predict", content=photo("apple", 2))
                    except httpx.ConnectError:
                        return  # it listens no more
                    except httpx.HTTPError as error:
                        if begun_before:
                            answers.append(type(error).__name__)
                        return
                    answers.append(response.status_code)

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(rng.uniform(0.2, 8))  # while the page is built, or after
        begun = time.monotonic()
        status = app.end(signal.SIGTERM)
        took = time.monotonic() - begun
        ending.set()
        for thread in threads:
            thread.join()
        check(took < 10, f"it ends within 10 s: {took:.1f} s")
        check(status in (0, -signal.SIGTERM), f"it ends in order: {status}")
        bad = [a for a in answers if a != 200 and a not in ("RemoteProtocolError", "ReadError")]
        check(not bad, f"every request is answered: {bad}")
        app.start()
        app.check()


def sigterm_later(folder: Path, rng: random.Random) -> None:
    """The same once the page is there."""
    sigterm(folder, rng, with_page=True)


def database(name: str) -> Callable[[Path, random.Random], None]:
    """Return the fault of a damaged database."""

    def damage(folder: Path, rng: random.Random) -> None:
        with running(folder) as app:
            app.client.post("/api/predict", content=photo("apple", 3))
            app.end(signal.SIGTERM)
            path = folder / name
            content = path.read_bytes()
            ways = {
                "garbage": rng.randbytes(len(content)),
                "cut": content[: rng.randrange(1, len(content))],
                "no head": bytes(100) + content[100:],
                "empty": b"",
            }
            way = rng.choice(sorted(ways))
            path.write_bytes(ways[way])
            app.start()
            try:
                app.check()
                check(app.upload(2).status_code == 200, "photos are taken again")
                app.check()
                check(app.client.get("/api/status").status_code == 200, "the status is told")
                check(app.client.get("/api/jobs").status_code == 200, "the jobs are told")
            except Broken as error:
                raise Broken(f"{way}: {error}") from error

    damage.__doc__ = f"{name} is garbage, cut off, without its head, or empty."
    return damage


def model(folder: Path, rng: random.Random) -> None:
    """The live version's files are damaged or gone: another answers, and health says so."""
    registry = open_registry(folder)
    baseline = registry.active().folder
    shipped = int(registry.active().version[1:])
    good, newest = (f"v{shipped + more:04d}" for more in (1, 2))
    for version in (good, newest):
        target = folder / "models" / "versions" / version
        shutil.copytree(baseline, target)
        manifest = json.loads((target / "manifest.json").read_text())
        (target / "manifest.json").write_text(json.dumps(manifest | {"version": target.name}))
    registry.activate(newest, "for the fault")
    live = folder / "models" / "versions" / newest
    onnx = (live / "model.onnx").read_bytes()
    flipped = bytearray(onnx)
    flipped[rng.randrange(len(onnx))] ^= 0xFF
    ways: dict[str, Callable[[], object]] = {
        "a byte of the model": lambda: (live / "model.onnx").write_bytes(bytes(flipped)),
        "the model cut off": lambda: (live / "model.onnx").write_bytes(onnx[: len(onnx) // 2]),
        "the model gone": lambda: (live / "model.onnx").unlink(),
        "the manifest gone": lambda: (live / "manifest.json").unlink(),
        "the manifest cut off": lambda: (live / "manifest.json").write_text('{"version": "v0'),
        "the version gone": lambda: shutil.rmtree(live),
        "the choice garbage": lambda: (folder / "models" / "active.json").write_bytes(b"\0\1{"),
    }
    way = rng.choice(sorted(ways))
    ways[way]()
    try:
        with running(folder) as app:
            health = app.client.get("/api/health").json()
            app.check()
            if way != "the choice garbage":
                check(health["version"] == good, f"the newest good one answers: {health}")
                check(health["status"] == "degraded", f"health says so: {health}")
            alive = app.client.post(f"/api/models/{good}/activate")
            check(alive.status_code == 200, f"another can be put live: {alive.text}")
            check(app.client.get("/api/health").json()["status"] == "ok", "and all is well then")
    except Broken as error:
        raise Broken(f"{way}: {error}") from error


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """Mount a small file system on the folder."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Skipped(f"a tmpfs cannot be mounted here ({done.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def full_disk(folder: Path, rng: random.Random) -> None:
    """The disk fills up at a random point of an upload: refused whole, and mended by room."""
    with mounted(folder, "24m"), running(folder) as app:
        ballast = folder / "ballast"
        free = shutil.disk_usage(folder).free
        left = rng.randrange(0, 150_000)
        with ballast.open("wb") as file, suppress(OSError):
            file.write(bytes(max(0, free - left)))
        refused = app.upload(2, 12)
        check(refused.status_code in (200, 507), f"it says so: {refused.status_code}")
        check(
            refused.status_code == 200 or "Nothing was kept" in refused.text,
            f"in words: {refused.text[:200]}",
        )
        dropped = app.drop()
        # 503: it was being built, which it is again once there is room.
        told = dropped.status_code in (200, 503) or "Nothing was kept" in dropped.text
        check(told, f"so does the page: {dropped.status_code} {dropped.text[:200]}")
        for method, path, asked in (
            ("POST", "/api/retrain", {}),
            ("PUT", "/api/schedule", {"cron": "0 3 * * *"}),
            ("POST", f"/api/models/{app.served()}/activate", None),
        ):
            answer = app.client.request(method, path, json=asked)
            told = answer.status_code in (200, 202, 409, 507)
            check(told, f"so does {path}: {answer.status_code} {answer.text[:200]}")
        app.check()
        time.sleep(6)  # figures are kept every five seconds
        app.check()
        ballast.unlink()
        check(app.upload(3).status_code == 200, "with room again, photos are taken")
        deadline = time.monotonic() + 90
        while app.drop().status_code != 200:
            check(time.monotonic() < deadline, "with room again, the page takes photos")
            time.sleep(1)
        app.check()
        app.end(signal.SIGKILL)
        app.start()
        app.check()


def full_disk_retraining(folder: Path, rng: random.Random) -> None:
    """The disk fills up at a random write of a retraining: no half version, the old one answers."""
    with mounted(folder, "200m"), running(folder) as app:
        check(app.upload(5, 24).status_code == 200, "photos are taken")
        before = app.served()
        ballast = folder / "ballast"
        # A version takes 35 MB; what comes before it, much less.
        left = rng.choice([rng.randrange(0, 200_000), rng.randrange(0, 40_000_000)])
        free = shutil.disk_usage(folder).free
        with ballast.open("wb") as file, suppress(OSError):
            for _ in range(max(0, free - left) // 1_000_000):
                file.write(bytes(1_000_000))
            file.write(bytes(max(0, free - left) % 1_000_000))
        answer = app.client.post("/api/retrain", json={})
        check(answer.status_code in (202, 507), f"it says so: {answer.text[:200]}")
        if answer.status_code == 202:
            app.job_until(answer.json()["job_id"], 30)  # its end may find no room in the table
            app.check()
        ballast.unlink()
        if answer.status_code == 202:
            job = app.job_until(answer.json()["job_id"], 60)
            check(bool(job["message"] and job["ended_at"]), f"it says what became of it: {job}")
            went = job["state"] == "succeeded"
            check(went == (app.served() != before), f"the old one answers: {job}")
        app.check_versions()
        again = app.client.post("/api/retrain", json={})
        check(again.status_code == 202, f"with room it begins again: {again.text[:200]}")
        job = app.job_until(again.json()["job_id"], 120)
        check(job["state"] in ("succeeded", "rejected"), f"and is compared: {job}")
        served = app.served()
        app.end(signal.SIGKILL)
        app.start()
        app.check_versions()
        check(app.served() == served, f"the choice is kept: {app.served()}, not {served}")


def missed(folder: Path, rng: random.Random) -> None:
    """The start by the schedule comes while the app is off: it is made up for once."""
    if not Path(FAKETIME).exists():
        raise Skipped("libfaketime is not installed")
    with running(folder) as app:
        check(app.upload(5, 24).status_code == 200, "photos are taken")
        hour = (time.gmtime().tm_hour + 2) % 24
        app.client.put("/api/schedule", json={"cron": f"0 {hour} * * *"})
        late = rng.randrange(3, 22)
        for days in (0, 0, 1):
            app.end(rng.choice([signal.SIGTERM, signal.SIGKILL]))
            app.extra = {"LD_PRELOAD": FAKETIME, "FAKETIME": f"+{24 * days + late}h"}
            app.start()
            time.sleep(2)
            jobs = app.client.get("/api/jobs").json()
            found = [job["reason"] for job in jobs if "missed on" in job["reason"]]
            check(len(jobs) == len(found) == 1 + days, f"{days} days later: {jobs}")
            app.job_until(jobs[0]["job_id"], 120)
        app.check()


def read_only(folder: Path, rng: random.Random) -> None:
    """The state folder turns read-only: predictions go on, and the next start says what to do."""
    # Root writes where it likes, unless it lets go of that.
    drop = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    if not os.geteuid() and not shutil.which(drop[0]):
        raise Skipped("setpriv is not installed, and root writes everywhere")

    def turn(mode: str) -> None:
        subprocess.run(["chmod", "-R", mode, str(folder)], check=True)

    with running(folder, *(() if os.geteuid() else drop)) as app:
        turn("a-w")
        refused = app.upload(2)
        check(refused.status_code == 507, f"it says so: {refused.status_code} {refused.text}")
        answer = app.client.post("/api/predict", content=photo("orange", 1))
        check(answer.status_code == 200, "it predicts")
        check(app.client.get("/api/status").status_code == 200, "the status is told")
        app.end(signal.SIGKILL)
        try:
            app.start()
        except Broken as error:
            check("FRUIT_STATE_DIR" in str(error), f"the next start says what to do: {error}")
        else:
            raise Broken("it starts although it can keep nothing")
        turn("u+w")
        app.start()
        app.check()


def clock(folder: Path, rng: random.Random) -> None:
    """The clock jumps between starts, forwards and back by up to ten years."""
    if not Path(FAKETIME).exists():
        raise Skipped("libfaketime is not installed")
    with running(folder) as app:
        check(app.upload(5, 24).status_code == 200, "photos are taken")
        app.client.put("/api/schedule", json={"cron": "0 3 * * *"})
        for jumps in (1, 2):
            app.end(rng.choice([signal.SIGTERM, signal.SIGKILL]))
            days = rng.randrange(-3650, 3650)
            app.extra = {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{days:+d}d"}
            app.start()
            app.check()
            status = app.client.get("/api/status")
            check(status.status_code == 200, f"the status is told at {days:+d} days: {status.text}")
            schedule = app.client.get("/api/schedule").json()
            check(schedule["cron"] == "0 3 * * *", "the schedule is kept")
            jobs = app.client.get("/api/jobs").json()
            check(len(jobs) <= jumps, f"a jump starts one retraining at most: {jobs}")


FAULTS: dict[str, Callable[[Path, random.Random], None]] = {
    "second": second_app,
    "sigterm": sigterm,
    "later": sigterm_later,
    "index": database(DATABASES[0]),
    "jobs": database(DATABASES[1]),
    "figures": database(DATABASES[2]),
    "reviews": database(DATABASES[3]),
    "model": model,
    "disk": full_disk,
    "retraining": full_disk_retraining,
    "missed": missed,
    "readonly": read_only,
    "clock": clock,
}


def main() -> int:
    """Make the faults, print what became of each, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    broken: list[Any] = []
    for name in options.only:
        rng, stood, skipped, begun = random.Random(options.seed), 0, "", time.monotonic()
        for number in range(options.rounds):
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                try:
                    FAULTS[name](Path(folder) / "state", rng)
                    stood += 1
                except Skipped as error:
                    skipped = f"skipped: {error}"
                    break
                except (Broken, httpx.HTTPError, OSError) as error:
                    broken.append((name, number, f"{type(error).__name__}: {error}"))
        words = skipped or f"{stood} of {options.rounds} stood, {time.monotonic() - begun:.0f} s"
        print(f"{name:<11}{words:<28} {FAULTS[name].__doc__}", flush=True)
    for name, number, problem in broken:
        print(f"BROKEN {name}, round {number + 1}: {problem}")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
