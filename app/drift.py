"""Is what people send still like what the version was tested on?

Each picture is described by a few numbers, and so are the test images that judged the version. The
two distributions of each number are compared by the Kolmogorov-Smirnov statistic D, the largest gap
between their cumulative shares: 0.3 says that for some value, three photos in ten lie on the other
side of it. Shares are taken from bins, which can only make D smaller.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.figures import CONFIDENCE, FEATURES, Figures, feature_bin
from data.labels import NONE_OF_THESE
from models.examination import STATISTICS, Examination

FEWEST: Final = 50  # photos: of fewer, chance alone makes any picture
# What differs by less than a fifth of the photos is no other kind of photo, however sure it is.
THRESHOLD: Final = 0.2
# The chance of a false alarm, shared out among the numbers that are compared (Bonferroni).
_SIGNIFICANCE: Final = 0.001

Distributions = Mapping[str, NDArray[np.float64]]  # by feature: the count of each bin


@dataclass(frozen=True)
class FeatureDrift:
    """How one number is distributed among what was sent and among the test images.

    Attributes:
        name: of the number.
        distance: D, 0..1.
        limit: from which D on it counts as another kind of photo.
    """

    name: str
    distance: float
    limit: float


@dataclass(frozen=True)
class Drift:
    """What is known of drift.

    Attributes:
        state: ``unknown``, ``alike`` or ``drifted``.
        sentence: that, for a person.
        photos: how many were compared.
        nearest: the test set that they are most like; empty where nothing can be compared.
        features: each number, the most different first.
        class_mix: D has no meaning for classes; this is half the sum of the differences of their
            shares, 0..1, against the test set. For information: another mix is no fault by itself.
    """

    state: str
    sentence: str
    photos: int = 0
    nearest: str = ""
    features: tuple[FeatureDrift, ...] = ()
    class_mix: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as the REST route gives it."""
        return {
            "state": self.state,
            "sentence": self.sentence,
            "photos": self.photos,
            "nearest": self.nearest or None,
            "features": [
                {"name": f.name, "distance": round(f.distance, 3), "limit": round(f.limit, 3)}
                for f in self.features
            ],
            "class_mix": None if self.class_mix is None else round(self.class_mix, 3),
        }


@dataclass(frozen=True)
class Reference:
    """What the test images of one set are like.

    Attributes:
        name: of the set.
        images: how many there are.
        distributions: of each feature.
        labels: how many were given each answer.
    """

    name: str
    images: int
    distributions: Distributions
    labels: Counter[str]


def references(examination: Examination) -> list[Reference]:
    """Return what the test images of each source are like, and mixtures of any two of them."""
    rows: dict[str, list[int]] = {}
    for row, image in enumerate(examination.images):
        if not np.isnan(examination.statistics[row]).any():
            rows.setdefault(image.source, []).append(row)
    found = [_reference(source, examination, mine) for source, mine in sorted(rows.items())]
    return [
        *found,
        *(_mixed(pair, share) for pair in combinations(found, 2) for share in (0.25, 0.5, 0.75)),
    ]


def assess(live: Figures, tested: Sequence[Reference]) -> Drift:
    """Return whether what was sent is like one of the test sets.

    It need only be like one of them or like a mixture: a version that was tested on photos from
    shops and on white paper is at home with either.

    Args:
        live: of what was sent.
        tested: what the version was tested on.
    """
    photos = live.predictions
    if not tested:
        return Drift("unknown", "This version does not say what its test images were like.", photos)
    if photos < FEWEST:
        return Drift(
            "unknown", f"{photos} of {FEWEST} photos: too few to compare with the test images.",
            photos,
        )  # fmt: skip
    sent = {name: _counts(name, live.features[name]) for name in FEATURES}
    compared = [(_compare(sent, reference), reference) for reference in tested]
    features, nearest = min(compared, key=lambda pair: max(f.distance / f.limit for f in pair[0]))
    worst = [f for f in features if f.distance > f.limit]
    mix = _class_mix(live.labels, nearest.labels)
    if not worst:
        sentence = (
            f"The last {photos:,} photos are like those of {nearest.name}, which it was tested on."
        )
        return Drift("alike", sentence, photos, nearest.name, features, mix)
    words = " and ".join(f"{_WORDS[f.name]} ({f.distance:.2f})" for f in worst[:3])
    return Drift(
        "drifted",
        f"The last {photos:,} photos are unlike those that this version was tested on: even from "
        f"the nearest, {nearest.name}, they differ in {words}. What was measured may not hold for "
        "them. Collect some with their right names, and retrain.",
        photos, nearest.name, features, mix,
    )  # fmt: skip


_WORDS: Final = {
    CONFIDENCE: "how sure the answers are",
    "brightness": "brightness",
    "contrast": "contrast",
    "saturation": "strength of colour",
    "white_border": "how white the border is",
    "sharpness": "sharpness",
}


def _reference(name: str, examination: Examination, rows: Sequence[int]) -> Reference:
    values = {CONFIDENCE: examination.confidence[rows]} | {
        statistic: examination.statistics[rows, column]
        for column, statistic in enumerate(STATISTICS)
    }
    return Reference(
        name,
        len(rows),
        {
            feature: _counts(feature, Counter(feature_bin(feature, float(v)) for v in column))
            for feature, column in values.items()
        },
        Counter(examination.images[row].answer for row in rows),
    )


def _mixed(pair: tuple[Reference, Reference], share: float) -> Reference:
    """Return two sets as one, of which the first makes up that share."""
    first, second = pair
    distributions = {
        feature: share * first.distributions[feature] / first.images
        + (1 - share) * second.distributions[feature] / second.images
        for feature in FEATURES
    }
    # Of so many images as the smaller has, which is the least that the mixture is known by.
    return Reference(
        f"{first.name} and {second.name} mixed",
        min(first.images, second.images),
        distributions,
        first.labels + second.labels,
    )


def _counts(feature: str, binned: Counter[int]) -> NDArray[np.float64]:
    return np.array([binned[place] for place in range(len(FEATURES[feature]))], np.float64)


def _compare(sent: Distributions, reference: Reference) -> tuple[FeatureDrift, ...]:
    found = []
    for name, counts in sent.items():
        if not counts.any():
            continue
        known = reference.distributions[name]
        gap = np.abs(np.cumsum(counts) / counts.sum() - np.cumsum(known) / known.sum())
        limit = max(THRESHOLD, critical_distance(int(counts.sum()), reference.images))
        found.append(FeatureDrift(name, float(gap.max()), limit))
    return tuple(sorted(found, key=lambda f: -f.distance / f.limit))


def critical_distance(first: int, second: int) -> float:
    """Return the D that chance exceeds once in a thousand looks at all numbers together.

    The large-sample form of the two-sample test (N. Smirnov, Annals of Mathematical Statistics 19,
    1948), with the significance shared out among the numbers.
    """
    level = _SIGNIFICANCE / len(FEATURES)
    return math.sqrt(-math.log(level / 2) / 2 * (first + second) / (first * second))


def _class_mix(sent: Counter[str], tested: Counter[str]) -> float:
    """Return half the sum of the differences of the shares, among what got a name."""
    shares = []
    for counts in (sent, tested):
        named = {label: count for label, count in counts.items() if label != NONE_OF_THESE}
        total = sum(named.values()) or 1
        shares.append({label: count / total for label, count in named.items()})
    labels = set(shares[0]) | set(shares[1])
    return sum(abs(shares[0].get(n, 0.0) - shares[1].get(n, 0.0)) for n in labels) / 2
