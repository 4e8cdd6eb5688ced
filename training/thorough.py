"""The thorough retrain flow: every layer goes on learning, from the photographs in the store.

Of a store of any size at most 5 GB of pixels lie in memory: 2 GB to learn from (200,928 bytes for a
photo of 4:3), 1 GB each to choose and to judge by, and TensorFlow's copy of those to choose by.
What does not fit is left out evenly, and said.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from data.labels import NONE_OF_THESE, spoken
from data.snapshot import Snapshot
from data.splits import Split
from data.sufficiency import (
    MIN_NEW_CLASS,
    nothing_to_judge_by,
    too_few_to_learn,
    too_few_to_rehearse,
    where_to_get,
)
from models.manifest import ModelManifest
from models.registry import ModelRegistry, ModelVersion
from training.config import SMOOTHING, TRAIN_SIDE, TrainConfig
from training.epoch import Epoch
from training.errors import NotEnoughData
from training.retrain import retrain

# Three eighths of the rate and a thirteenth of the steps that the shipped network was trained
# with: it goes on from there. Ten epochs, so that progress shows.
LEARNING_RATE: Final = 1.5e-4
EPOCHS: Final = 10
STEPS_PER_EPOCH: Final = 30
MAX_PER_VARIETY: Final = 100
# What keeps it from forgetting; what it gave is under "Thorough" in training/EXPERIMENTS.md.
FEATURE_PULL: Final = 1.0
START_SHARE: Final = 0.3
DRAWN_ANEW: Final = 8_000


def thorough_retrain(
    snapshot: Snapshot,
    start: ModelVersion,
    registry: ModelRegistry,
    *,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> ModelVersion:
    """Go on training a version with all photos of the store, publish the candidate, and return it.

    It carries the gate's report; it is not made active.

    Args:
        snapshot: the store's images, those of the version's classes among them.
        start: the active version, that the candidate starts from and is compared with.
        registry: where the candidate is published.
        on_stage, on_epoch, on_step: as for ``retrain``.

    Raises:
        NotEnoughData: the store cannot rehearse or judge a class of the version.
    """
    enough = teachable(snapshot, start.manifest)
    if few := {i.label for i in snapshot.images} - {i.label for i in enough.images}:
        on_stage(
            f"{', '.join(map(spoken, sorted(few)))}: left out, with fewer than {MIN_NEW_CLASS} "
            "photos to learn from"
        )
    return retrain(
        enough,
        thorough_config(start.manifest),
        registry,
        start=start,
        on_stage=on_stage,
        on_epoch=on_epoch,
        on_step=on_step,
    )


def thorough_config(start: ModelManifest) -> TrainConfig:
    """Return the settings of a thorough retraining that goes on from a version."""
    refuses, has_features = start.none_label is not None, start.maps_output is not None
    return TrainConfig(
        network=start.network,
        side_px=start.input.side_px,
        train_side_px=int(start.training.get(TRAIN_SIDE, 0)),
        epochs=EPOCHS,
        steps_per_epoch=STEPS_PER_EPOCH,
        learning_rate=LEARNING_RATE,
        schedule="cosine",
        none_of_these=refuses,
        start_share=START_SHARE if has_features else 0.0,
        feature_pull=FEATURE_PULL if has_features else 0.0,
        head_drawn=DRAWN_ANEW if has_features and refuses else 0,
        label_smoothing=float(start.training.get(SMOOTHING, 0.05)),
        augmentation="scenes",
        max_per_variety=MAX_PER_VARIETY,
    )


def teachable(snapshot: Snapshot, start: ModelManifest) -> Snapshot:
    """Return the images of the version's labels and of new classes with enough photos.

    Raises:
        NotEnoughData: a label of the version has too few images to rehearse, or it or a new class
            has none to judge by.
    """
    counts = Counter((image.label, image.split) for image in snapshot.images)
    if missing := too_few_to_rehearse(start.labels, counts):
        raise NotEnoughData(
            f"A thorough retraining rehearses every class from photographs; of "
            f"{', '.join(map(spoken, missing))} there are too few. "
            f"{where_to_get(missing, 'fetch the base data set (python -m data fetch grocery)')}, "
            "or retrain quickly, which needs none of them."
        )
    to_learn = {label: counts[label, Split.TRAIN] for label, _ in list(counts)}
    labels = set(to_learn) - set(too_few_to_learn(to_learn, start.labels))
    if unjudged := nothing_to_judge_by(sorted(labels - set(start.labels)), counts):
        raise NotEnoughData(
            f"All photos of {', '.join(map(spoken, unjudged))} are to learn from, and none is "
            "left to judge by. Add some more, of which a part is set aside, or retrain quickly."
        )
    labels.add(NONE_OF_THESE)
    return Snapshot(snapshot.root, tuple(i for i in snapshot.images if i.label in labels))
