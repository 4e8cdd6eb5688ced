"""Ask versions about fruit in other surroundings, made up of pictures that no network learned from.

    python -m tests.bench.surroundings unpacked v0034 v0035

The folder is that of ``tests.bench.other_pictures``. What Debian's stamps show of our fruit is
pasted into photographs and wallpapers of other things, each into 60 of them, and heaped into drawn
crates before such, 60 times each. Frames of Fruits-360 test, 100 of each class, lie on drawn tables
and in drawn bowls, and in crates. The tables are drawn by the code that draws them for training,
from other frames and another seed; no shipped version was trained on the crates. Prints for each
set and version how many are rightly named, refused and called something else, and how many have the
highest of the fruit's probabilities for the right fruit. Needs the extra ``train``.
"""

import argparse
from collections.abc import Iterable, Iterator
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
from tests.bench.crates import draw_in_crate
from tests.bench.other_pictures import SETS, answers, belongs, found, label_of
from training.augment import thing_on_white
from training.tables import draw_on_table

_BACKGROUNDS: Final = 60  # for each stamp
_FRAMES: Final = 100  # of each class
_SIDE_PX: Final = 320
_SHARE: Final = (0.35, 0.8)  # of the picture's side, along the longer one of what is pasted
_SEED: Final = 2026
_HOW_TO_FETCH: Final = "How to fetch it is in tests/bench/other_pictures.py."

_Picture: TypeAlias = tuple[str, NDArray[np.uint8]]
_Pictures: TypeAlias = list[_Picture]


def main() -> None:
    """Print a line for each set and version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("unpacked", type=Path, help="a folder with a folder for each package")
    parser.add_argument("versions", nargs="+", help="of the state folder")
    options = parser.parse_args()
    registry = open_registry(state_dir())
    versions = [registry.get(name) for name in options.versions]
    scenes, stamps = scenes_of(options.unpacked), stamps_of(options.unpacked)
    snapshot, often = take_snapshot(state_dir()), [s for s in stamps for _ in range(_BACKGROUNDS)]
    tables, crates, others = (np.random.default_rng(_SEED) for _ in range(3))
    sets = {
        "pasted into photographs": pasted(stamps, scenes),
        "stamps in drawn crates": in_crates(often, scenes, crates),
        "on drawn tables": on_tables(frames_of(snapshot, tables), tables),
        "in drawn crates": in_crates(frames_of(snapshot, others), scenes, others),
    }
    for title, pictures in sets.items():
        for version in versions:
            manifest, nothing = version.manifest, version.manifest.none_column
            if nothing is None:
                raise SystemExit(f"{version.version} cannot refuse. Name versions that can.")
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


def scenes_of(unpacked: Path) -> list[Image.Image]:
    """Return photographs and wallpapers of other things, square."""
    scenes = [
        ImageOps.fit(Image.fromarray(picture), (_SIDE_PX, _SIDE_PX))
        for title in ("photographs", "wallpapers")
        for name in SETS[title]
        for _, picture in found(unpacked / name, partial(belongs, title=title))
    ]
    if not scenes:
        raise SystemExit(f"{unpacked} has no photographs of other things. {_HOW_TO_FETCH}")
    return scenes


def stamps_of(unpacked: Path) -> _Pictures:
    """Return the stamps of our fruit, on white."""
    stamps = found(unpacked / "tuxpaint-stamps-default", label_of)
    pictures = [(str(label_of(place)), stamp) for place, stamp in stamps]
    if not pictures:
        raise SystemExit(f"{unpacked} has no stamps of our fruit. {_HOW_TO_FETCH}")
    return pictures


def frames_of(snapshot: Snapshot, rng: np.random.Generator) -> Iterator[_Picture]:
    """Give frames of Fruits-360 test, as many of each class, on white."""
    frames = snapshot.select(split=Split.TEST, source="fruits-360")
    for label in BASE_LABELS:
        of_label = [frame for frame in frames if frame.label == label]
        for index in rng.choice(len(of_label), _FRAMES, replace=False):
            yield label, decode_image((snapshot.root / of_label[index].path).read_bytes())


def pasted(things: _Pictures, scenes: list[Image.Image]) -> _Pictures:
    """Return each thing in so many of the scenes."""
    rng = np.random.default_rng(_SEED)
    pictures: _Pictures = []
    for label, picture in things:
        for index in rng.choice(len(scenes), _BACKGROUNDS, replace=False):
            scene, thing = scenes[index].copy(), _thing(picture)
            scale = _SIDE_PX * rng.uniform(*_SHARE) / max(thing.size)
            thing = thing.resize((round(thing.width * scale), round(thing.height * scale)))
            room = np.subtract(scene.size, thing.size)
            left, top = rng.integers(0, room + 1).tolist()
            scene.paste(thing, (left, top), thing)
            pictures.append((label, np.asarray(scene)))
    return pictures


def on_tables(things: Iterable[_Picture], rng: np.random.Generator) -> _Pictures:
    """Return each thing on a drawn table or in a bowl."""
    return [
        (label, np.asarray(draw_on_table(_thing(picture), _SIDE_PX, (), rng)))
        for label, picture in things
    ]


def in_crates(
    things: Iterable[_Picture], scenes: list[Image.Image], rng: np.random.Generator
) -> _Pictures:
    """Return each thing in a drawn crate before one of the scenes."""
    photos = [np.asarray(scene) for scene in scenes]
    return [
        (label, np.asarray(draw_in_crate(_thing(picture), _SIDE_PX, photos, rng)))
        for label, picture in things
    ]


def _thing(picture: NDArray[np.uint8]) -> Image.Image:
    """Return what stands on the white: RGBA, no larger than it."""
    thing = thing_on_white(picture)
    return thing.crop(thing.getbbox())


if __name__ == "__main__":
    main()
