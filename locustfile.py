"""Load as users make it: photos over REST and over Gradio's API, uploads, and a monitor.

    locust --headless --host http://127.0.0.1:7860 --users 100 --spawn-rate 10 --run-time 15m \
           --html report.html --csv report

Photos are drawn; ``FRUIT_LOCUST_PHOTOS`` names a folder of your own. Never import this module where
Gradio is imported: gevent patches the standard library.
"""

import io
import os
import random
from pathlib import Path

import gevent
from locust import HttpUser, between, events, task

from data.drawings import EXAMPLE_LABELS, draw_fruit
from data.images import SUFFIXES

PHOTOS: list[tuple[str, bytes]] = []


@events.init.add_listener
def load_photos(**_: object) -> None:
    """Read the folder, or draw a picture of each fruit."""
    folder = os.environ.get("FRUIT_LOCUST_PHOTOS")
    if folder:
        paths = [p for p in sorted(Path(folder).rglob("*")) if p.suffix.lower() in SUFFIXES]
        PHOTOS.extend((path.name, path.read_bytes()) for path in paths)
        if not PHOTOS:
            raise SystemExit(f"There are no photos in {folder}.")
        return
    for label in EXAMPLE_LABELS:
        buffer = io.BytesIO()
        draw_fruit(label, 320).save(buffer, "JPEG", quality=90)
        PHOTOS.append((f"{label}.jpg", buffer.getvalue()))
        # Drawing holds gevent's clock, and the time to run would count from before it.
        gevent.sleep(0)


class PhotoUser(HttpUser):
    """Sends one photo after another, sometimes a handful at once."""

    weight = 20
    wait_time = between(0.1, 0.5)

    @task(8)
    def one_photo_in_a_form(self) -> None:
        """Send one photo as browsers do."""
        self.client.post("/api/predict", files={"file": random.choice(PHOTOS)})

    @task(2)
    def one_photo_as_the_body(self) -> None:
        """Send one photo as programs do."""
        _, content = random.choice(PHOTOS)
        headers = {"Content-Type": "image/jpeg"}
        self.client.post("/api/predict?top_k=3", content, headers=headers, name="/api/predict body")

    @task(1)
    def several_photos(self) -> None:
        """Send four photos at once."""
        files = [("file", photo) for photo in random.choices(PHOTOS, k=4)]
        self.client.post("/api/predict", files=files, name="/api/predict x4")


class GradioUser(HttpUser):
    """Does what a Gradio client does: upload, start, read the stream until the answer."""

    weight = 2
    wait_time = between(0.5, 2)

    @task
    def one_photo(self) -> None:
        """Send one photo; the three requests count under names of their own."""
        uploaded = self.client.post(
            "/gradio_api/upload", files={"files": random.choice(PHOTOS)}, name="Gradio upload"
        )
        if not uploaded.ok:
            return
        photo = {"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}
        started = self.client.post(
            "/gradio_api/call/predict", json={"data": [photo, None, False]}, name="Gradio call"
        )
        if not started.ok:
            return
        path = f"/gradio_api/call/predict/{started.json()['event_id']}"
        with self.client.get(path, name="Gradio stream", catch_response=True) as stream:
            if "event: complete" not in stream.text:
                stream.failure(stream.text[:200])


class Collector(HttpUser):
    """Asks what would become of photos in the store; a load test leaves nothing there."""

    weight = 1
    wait_time = between(2, 5)

    @task
    def upload(self) -> None:
        """Upload one photo in a rehearsal, where the server takes any."""
        data = {"class_name": "load test", "dry_run": "true"}
        with self.client.post(
            "/api/upload_retrain_data", data=data, files={"file": random.choice(PHOTOS)},
            catch_response=True,
        ) as answer:  # fmt: skip
            if answer.status_code in (401, 403):  # it wants a token, or takes none from here
                answer.success()


class Monitor(HttpUser):
    """Looks whether all is well."""

    weight = 1
    wait_time = between(1, 3)

    @task
    def status(self) -> None:
        """Poll health and status."""
        self.client.get("/api/health")
        self.client.get("/api/status")
        self.client.get("/metrics")
