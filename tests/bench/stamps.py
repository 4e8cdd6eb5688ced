"""Sort the cut-out photographs of Tux Paint into folders that a version can be scored on. By hand.

    apt-get download tuxpaint-stamps-default && dpkg-deb -x tuxpaint-stamps-default_*.deb stamps
    python -m tests.bench.stamps stamps/usr/share/tuxpaint/stamps sorted
    python -m training evaluate --data sorted

Some 700 animals, tools, letters, coins and plants on nothing (https://tuxpaint.org, GPL-2 and
public domain), thirteen of them fruit that the model knows. They come from nowhere near the
archives that it learned from, and no network was trained on them. Cartoons, and the mirrored
copies of other stamps, are left out. Each is set on white with a margin.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import Final

from PIL import Image

from data.labels import BASE_LABELS

_SIDE_PX: Final = 320
_LONGER_SIDE: Final = 0.85  # of the picture's


def main() -> None:
    """Write the pictures and print how many there are of each label."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stamps", type=Path, help="the folder 'stamps' of the package")
    parser.add_argument("sorted", type=Path, help="the folder to write; must not exist")
    options = parser.parse_args()
    options.sorted.mkdir(parents=True)
    counts: Counter[str] = Counter()
    for path in sorted(options.stamps.rglob("*.png")):
        if "cartoon" in path.parts or path.stem.endswith(("_flip", "_mirror")):
            continue
        group = path.relative_to(options.stamps).parts[0]
        label = label_of(path) if group == "food" else group
        folder = options.sorted / label
        folder.mkdir(exist_ok=True)
        on_white(path).save(folder / "-".join(path.relative_to(options.stamps).parts))
        counts[label] += 1
    print(", ".join(f"{label} {count}" for label, count in sorted(counts.items())))


def label_of(path: Path) -> str:
    """Return the class that a stamp of food shows, or ``food`` for none of them."""
    return next((word for word in path.stem.split("_") if word in BASE_LABELS), "food")


def on_white(path: Path) -> Image.Image:
    """Return what the stamp shows in the middle of a white square."""
    stamp = Image.open(path).convert("RGBA")
    stamp = stamp.crop(stamp.getbbox())
    scale = _SIDE_PX * _LONGER_SIDE / max(stamp.size)
    stamp = stamp.resize(
        (max(1, round(stamp.width * scale)), max(1, round(stamp.height * scale))),
        Image.Resampling.LANCZOS,
    )
    paper = Image.new("RGB", (_SIDE_PX, _SIDE_PX), (255, 255, 255))
    paper.paste(stamp, ((_SIDE_PX - stamp.width) // 2, (_SIDE_PX - stamp.height) // 2), stamp)
    return paper


if __name__ == "__main__":
    main()
