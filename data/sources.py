"""The public data sets: where they are, their layout, their folder to class map, their licence.

A source turns the path of a member into a placement: which class it shows, which scene it belongs
to, and which split its publisher gave it. ``FOLDERS`` is the layout of everybody else:
``<class>/<image>``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from data.errors import UnknownSource
from data.labels import BASE_LABELS, NONE_OF_THESE, normalise_label
from data.splits import Split, split_of_run

MIRROR_VARIABLE: Final = "FRUIT_BASE_SET_MIRROR"  # address of a folder with ``<source>.zip``

# Shop photos of one bin follow one another, mostly two to four at a time.
_RUN_LENGTH: Final = 4


@dataclass(frozen=True)
class Placement:
    """What the path of an image says about it.

    Attributes:
        label: the class, or ``NONE_OF_THESE``.
        variety: the publisher's own folder, such as ``Apple Red 1``; empty where there is none.
        group: the scene it belongs to; empty where each image is a scene of its own.
        split: the publisher's own split, or None to take it from the group.
    """

    label: str
    variety: str = ""
    group: str = ""
    split: Split | None = None


@dataclass(frozen=True)
class Source:
    """A data set that can be imported.

    Attributes:
        name: as given on the command line and kept with each image.
        title, licence, citation: for attribution.
        url: the public archive; empty for one's own folders.
        place: member path, split at the slashes -> placement, or None for a file outside the
            layout.
        joins_scenes: whether a near-identical picture of the same class joins the group of the
            first one. Not where the publisher's own split decides.
        joins_by_form: whether the form alone tells what is near-identical, and not the colours too.
        is_known_by: whether a member's path tells that it is this set; None where any tells that
            has a place in it.
    """

    name: str
    title: str
    licence: str
    citation: str
    url: str
    place: Callable[[Sequence[str]], Placement | None]
    joins_scenes: bool = True
    joins_by_form: bool = False
    is_known_by: Callable[[Sequence[str]], bool] | None = None

    def url_from(self, mirror: str) -> str:
        """Return the archive's address in the mirror's folder; without a mirror, the public one."""
        return f"{mirror.rstrip('/')}/{self.name}.zip" if mirror else self.url


def find_source(name: str) -> Source:
    """Return the source of that name.

    Raises:
        UnknownSource: there is none.
    """
    for source in SOURCES:
        if source.name == name:
            return source
    raise UnknownSource(name, [source.name for source in SOURCES])


def detect_source(paths: Iterable[Sequence[str]]) -> Source:
    """Return the public source whose layout the member paths have, else ``FOLDERS``."""
    for parts in paths:
        for source in PUBLIC_SOURCES:
            if (source.is_known_by or source.place)(parts):
                return source
    return FOLDERS


def _place_fruits_360(parts: Sequence[str]) -> Placement | None:
    """``<root>/Training|Test/<folder>/<image>``; the first word of the folder names the class.

    A folder is one filmed object and the publisher's two splits hold interleaved frames of one
    film. A class has few objects (orange: one), so an object cannot be spared for validation
    without losing a variety, and one in both validation and test would tie the choice of a model to
    its judgement. So the publisher's ``Training`` trains, whole, and validation comes from sources
    with independent scenes.
    """
    if len(parts) < 3 or parts[-3] not in {"Training", "Test"}:
        return None
    folder = parts[-2]
    first_word = folder.split(" ")[0].lower()
    return Placement(
        label=first_word if first_word in BASE_LABELS else NONE_OF_THESE,
        variety=folder,
        group=f"fruits-360/{folder}",
        split=Split.TEST if parts[-3] == "Test" else Split.TRAIN,
    )


def _is_of_fruits_360(parts: Sequence[str]) -> bool:
    """Anybody may have a folder ``Training``; that its folders are numbered is Fruits-360's way."""
    return _place_fruits_360(parts) is not None and parts[-2].rpartition(" ")[2].isdecimal()


_GROCERY_CLASSES: Final = {
    ("Fruit", "Apple"): "apple",
    ("Fruit", "Avocado"): "avocado",
    ("Fruit", "Banana"): "banana",
    ("Fruit", "Mango"): "mango",
    ("Fruit", "Orange"): "orange",
    ("Vegetables", "Aubergine"): "eggplant",
    ("Vegetables", "Cucumber"): "cucumber",
    ("Vegetables", "Onion"): "onion",
}
_GROCERY_KINDS: Final = {"Fruit", "Packages", "Vegetables"}
_GROCERY_SPLITS: Final = {"val": Split.VALIDATION, "test": Split.TEST}


def _place_grocery(parts: Sequence[str]) -> Placement | None:
    """``<root>/dataset/train|val|test/<kind>/<class>[/<variety>]/<name>_<number>.jpg``.

    The publisher's ``val`` and ``test`` keep their part. ``train`` is dealt out by runs of
    consecutive photos of one folder.
    """
    if "dataset" not in parts:
        return None
    inner = parts[list(parts).index("dataset") + 1 :]
    if len(inner) < 4 or inner[0] not in {"train", *_GROCERY_SPLITS}:
        return None
    folder = "/".join(inner[1:-1])
    number = inner[-1].rpartition(".")[0].rpartition("_")[2]
    run = int(number) // _RUN_LENGTH if number.isdecimal() else 0
    return Placement(
        label=_GROCERY_CLASSES.get((inner[1], inner[2]), NONE_OF_THESE),
        variety=folder,
        group=f"grocery/{inner[0]}/{folder}/run {run}",
        split=_GROCERY_SPLITS.get(inner[0]) or split_of_run(f"grocery/{folder}", run),
    )


def _is_of_grocery(parts: Sequence[str]) -> bool:
    """Anybody may have a folder ``dataset/train``; the kinds in it are the publisher's."""
    if _place_grocery(parts) is None:
        return False
    return parts[list(parts).index("dataset") + 2] in _GROCERY_KINDS


def _place_folders(parts: Sequence[str]) -> Placement | None:
    """``[<root>/]<class>/<image>``; raises InvalidLabel where the folder is no class name."""
    if len(parts) < 2:
        return None
    return Placement(label=normalise_label(parts[-2]))


FRUITS_360: Final = Source(
    name="fruits-360",
    title="Fruits-360, 100 x 100 px",
    licence="CC BY-SA 4.0, (c) 2017- Mihai Oltean",
    citation="H. Muresan, M. Oltean, Fruit recognition from images using deep learning, "
    "arXiv:1712.00580",
    url="https://github.com/fruits-360/fruits-360-100x100/archive/refs/heads/main.zip",
    place=_place_fruits_360,
    joins_scenes=False,
    is_known_by=_is_of_fruits_360,
)
GROCERY: Final = Source(
    name="grocery",
    title="Grocery Store Dataset",
    licence="MIT, (c) 2019 Marcus Klasson",
    citation="M. Klasson, C. Zhang, H. Kjellström, A Hierarchical Grocery Store Image Dataset "
    "With Visual and Semantic Labels, WACV 2019, arXiv:1901.00711",
    url="https://github.com/marcusklasson/GroceryStoreDataset/archive/refs/heads/master.zip",
    place=_place_grocery,
    is_known_by=_is_of_grocery,
    joins_by_form=True,  # as its splits were dealt, which no image ever changes
)
FOLDERS: Final = Source(
    name="folders",
    title="Folders named after classes",
    licence="",
    citation="",
    url="",
    place=_place_folders,
)
PUBLIC_SOURCES: Final = (FRUITS_360, GROCERY)
SOURCES: Final = (*PUBLIC_SOURCES, FOLDERS)
