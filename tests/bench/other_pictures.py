"""Ask versions about pictures of no produce, from Debian packages. By hand.

    apt-get download tuxpaint-stamps-default pysiogame mate-backgrounds gnome-backgrounds \\
        plasma-workspace-wallpapers povray-examples scratch kphotoalbum psychtoolbox-3-common \\
        golang-github-rwcarlsen-goexif-dev tdiary-theme racket-common
    for deb in *.deb; do dpkg-deb -x $deb unpacked/${deb%%_*}; done
    python -m tests.bench.other_pictures unpacked v0007 v0009

Prints for each set and version how many pictures are refused, and the AUROC of that probability
against the photos of fruit in shops among the store's test images. The pictures come from nowhere
near the archives that the versions learned from, and no network was trained on them. What shows a
shipped class by its name is left out; equal pictures of a package are counted once. Stamps
(https://tuxpaint.org), cut out, are set on white. Needs the extra ``train``.
"""

import argparse
import re
from collections.abc import Iterator
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
from training.retrain import predict_all

_SETS: Final = {
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
    "pictures for children's programs": ("scratch",),
}
_FOLDER: Final = {"pysiogame": "art4apps", "scratch": "Media"}  # the others: anywhere
_PICTURES: Final = {".jpg", ".jpeg", ".png", ".gif", ".webp"}
_PHOTOGRAPHS: Final = {".jpg", ".jpeg"}  # what else those packages hold are icons and plots
_FOOD: Final = {"food", "fruit_n_veg"}
_SHOWS_APPLES: Final = "TeapotTexture.jpg"
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
    for title, packages in _SETS.items():
        pictures = [p for name in packages for p in found(options.unpacked / name, title)]
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


def found(package: Path, title: str) -> Iterator[_Picture]:
    """Yield the pictures of an unpacked package that belong to the set, each once."""
    seen = set[bytes]()
    for path in sorted(package.rglob("*")):
        folders = path.relative_to(package).parts[:-1]
        if (
            path.suffix.lower() not in (_PHOTOGRAPHS if title == "photographs" else _PICTURES)
            or path.is_symlink()
            or path.name == _SHOWS_APPLES
            or _FOLDER.get(package.name, "") not in ("", *folders)
            or ("food" in title) == _FOOD.isdisjoint(folders)
            or set(re.findall("[a-z]+?(?=s?(?:[^a-z]|$))", path.stem.lower())) & set(BASE_LABELS)
        ):
            continue
        if package.name == "tuxpaint-stamps-default":
            if "cartoon" in folders or path.stem.endswith(("_flip", "_mirror")):
                continue
            picture = on_white(path)
        else:
            try:
                picture = decode_image(path.read_bytes())
            except InvalidImage:
                continue
        if min(picture.shape[:2]) >= _LEAST_PX and picture.tobytes() not in seen:
            seen.add(picture.tobytes())
            yield picture


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
