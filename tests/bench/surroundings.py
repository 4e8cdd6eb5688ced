"""Ask versions about fruit in other surroundings, made up of pictures that no network learned from.

    python -m tests.bench.surroundings unpacked v0034 v0035

The folder is that of ``tests.bench.other_pictures``. Two sets: what Debian's stamps show of our
fruit, pasted into photographs and wallpapers of other things, each into 60 of them; and frames of
Fruits-360 test, 100 of each class, on drawn tables and in drawn bowls. The tables are drawn by the
code that draws them for training, from other frames and another seed. Prints for each set and
version how many are rightly named, refused and called something else, and how many have the highest
of the fruit's probabilities for the right fruit. Needs the extra ``train``.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from data.images import decode_image
from data.labels import BASE_LABELS
from data.snapshot import Snapshot
from data.splits import Split
from data.state import state_dir
from data.store import take_snapshot
from models.decision import decide
from models.registry import open_registry
from tests.bench.other_pictures import SETS, answers, belongs, found, label_of
from training.augment import thing_on_white
from training.tables import draw_on_table

_BACKGROUNDS: Final = 60  # for each stamp
_FRAMES: Final = 100  # of each class
_SIDE_PX: Final = 320
_SHARE: Final = (0.35, 0.8)  # of the picture's side, along the longer one of what is pasted
_SEED: Final = 2026

_Pictures: TypeAlias = list[tuple[str, NDArray[np.uint8]]]


def main() -> None:
    """Print a line for each set and version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("unpacked", type=Path, help="a folder with a folder for each package")
    parser.add_argument("versions", nargs="+", help="of the state folder")
    options = parser.parse_args()
    registry = open_registry(state_dir())
    versions = [registry.get(name) for name in options.versions]
    sets = {
        "pasted into photographs": pasted(options.unpacked),
        "on drawn tables": on_tables(take_snapshot(state_dir())),
    }
    for title, pictures in sets.items():
        for version in versions:
            manifest, nothing = version.manifest, version.manifest.none_column
            labels = np.array([manifest.labels.index(label) for label, _ in pictures])
            given = answers(version, [picture for _, picture in pictures])
            decided = decide(given, nothing, manifest.none_threshold)
            right, refused = decided == labels, decided == nothing
            likeliest = np.delete(given, nothing, axis=1).argmax(axis=1) == labels
            print(
                f"{title:25} {len(given):5,}  {version.version}  right {right.mean():6.1%}  "
                f"refused {refused.mean():6.1%}  wrong {(~right & ~refused).mean():6.1%}  "
                f"likeliest fruit {likeliest.mean():6.1%}",
                flush=True,
            )


def pasted(unpacked: Path) -> _Pictures:
    """Return each stamp of our fruit in so many photographs and wallpapers of other things."""
    rng = np.random.default_rng(_SEED)
    scenes = [
        ImageOps.fit(Image.fromarray(picture), (_SIDE_PX, _SIDE_PX))
        for title in ("photographs", "wallpapers")
        for name in SETS[title]
        for _, picture in found(unpacked / name, partial(belongs, title=title))
    ]
    stamps = list(found(unpacked / "tuxpaint-stamps-default", label_of))
    if not scenes or not stamps:
        raise SystemExit(
            f"{unpacked} has {len(stamps)} stamps of our fruit and {len(scenes)} pictures to paste "
            "them into. How to fetch both is in tests/bench/other_pictures.py."
        )
    pictures: _Pictures = []
    for place, stamp in stamps:
        for index in rng.choice(len(scenes), _BACKGROUNDS, replace=False):
            scene, thing = scenes[index].copy(), _thing(stamp)
            scale = _SIDE_PX * rng.uniform(*_SHARE) / max(thing.size)
            thing = thing.resize((round(thing.width * scale), round(thing.height * scale)))
            room = np.subtract(scene.size, thing.size)
            left, top = rng.integers(0, room + 1).tolist()
            scene.paste(thing, (left, top), thing)
            pictures.append((str(label_of(place)), np.asarray(scene)))
    return pictures


def on_tables(snapshot: Snapshot) -> _Pictures:
    """Return frames of Fruits-360 test, as many of each class, on drawn tables and in bowls."""
    rng = np.random.default_rng(_SEED)
    frames = snapshot.select(split=Split.TEST, source="fruits-360")
    pictures: _Pictures = []
    for label in BASE_LABELS:
        of_label = [frame for frame in frames if frame.label == label]
        for index in rng.choice(len(of_label), _FRAMES, replace=False):
            frame = decode_image((snapshot.root / of_label[index].path).read_bytes())
            scene = draw_on_table(_thing(frame), _SIDE_PX, (), rng)
            pictures.append((label, np.asarray(scene)))
    return pictures


def _thing(picture: NDArray[np.uint8]) -> Image.Image:
    """Return what stands on the white: RGBA, no larger than it."""
    thing = thing_on_white(picture)
    return thing.crop(thing.getbbox())


if __name__ == "__main__":
    main()
