"""The model card says what the manifest says."""

import yaml

from models.card import card_text, model_card
from models.manifest import (
    Calibration,
    ClassMetrics,
    DataSource,
    EvaluationMetrics,
    GroupMetrics,
    InputSpec,
    ModelManifest,
    OtherMetrics,
)

SCORES = EvaluationMetrics(
    images=82, accuracy=0.963, macro_precision=0.95, macro_recall=0.95, macro_f1=0.947,
    weighted_precision=0.96, weighted_recall=0.96, weighted_f1=0.96, mean_confidence=0.94,
    calibration_error=0.021, named=0.976,
    others=OtherMetrics(images=323, refused=0.92, auroc=0.981),
    intervals={"accuracy": (0.91, 0.99), "auroc": (0.96, 0.99)},
    per_class={"mango": ClassMetrics(precision=1, recall=0.5, f1=0.67, support=4)},
    per_group={"Fruit|Apple": GroupMetrics(accuracy=0.8, images=10)}, confusion=[],
)  # fmt: skip


def manifest(**changes: object) -> ModelManifest:
    return ModelManifest(
        version="v0002",
        labels=("apple", "mango", "none_of_these"),
        none_label="none_of_these",
        input=InputSpec(side_px=160),
        sha256="0" * 64,
        size_bytes=13_500_000,
        network="efficientnet_lite0",
        parameters=3_423_272,
        metrics={"grocery/test": SCORES},
        calibration=Calibration(
            temperature=0.6, none_threshold=0.45, chosen_on="grocery/validation", images=665
        ),
        sources=[
            DataSource(name="grocery", licence="MIT", citation="WACV 2019", images={"test": 405})
        ],
    ).model_copy(update=changes)


def test_card_states_what_was_refused_where_no_class_was_shown() -> None:
    others = {
        "films/cross-validation": OtherMetrics(images=1440, refused=0.75),
        "icons/cross-validation": OtherMetrics(images=300, refused=0.99, auroc=0.996),
    }

    text = card_text(manifest(others=others))

    assert "| `films/cross-validation` | 1,440 | 75.0% | - |" in text
    assert "| `icons/cross-validation` | 300 | 99.0% | 0.996 |" in text


def test_card_states_how_the_networks_of_a_cross_validation_differ() -> None:
    judged = {"metrics": {"grocery/cross-validation": SCORES}, "precision": "int8"}
    one = {"networks": 1, "seed": 20, "draws": 3}

    before = card_text(manifest(**judged, training=one))
    same = card_text(manifest(**judged, training=one, folds=one))
    other = card_text(manifest(**judged, training=one, folds={"networks": 3, "seed": 20}))
    fit_again = one | {"head_drawn": 32_000, "head_pull": 0.004}
    fitted = card_text(manifest(**judged, training=fit_again, folds=one))

    heads = {"head_drawn": 32_000, "head_others_weight": 3.0}
    other_heads = heads | {"head_others_weight": 7.0}
    alike = card_text(manifest(**judged, training=fit_again, folds=one | {"head_drawn": 32_000}))
    unlike = card_text(manifest(**judged, training=other_heads, folds=heads))

    assert "was not recorded. Those networks were in floats." in before
    assert "The settings were the same. Those" in same
    assert "but for networks 3 instead of 1, draws not recorded instead of 3." in other
    assert "The settings were the same. Its columns of other things were fitted anew to 32,000" in (
        fitted
    )
    assert "The settings were the same. Those" in alike  # a pull was not recorded of the folds
    assert "The settings were the same, but for head_others_weight 3.0 instead of 7.0." in unlike
    assert "every scene was judged" not in card_text(manifest(folds=one))


def test_card_states_classes_scores_intervals_and_licences() -> None:
    text = card_text(manifest())

    for words in (
        "apple, mango. A picture whose probability of none of these is at least 0.45",
        "| `grocery/test` | 82 | 96.3% (91.0% to 99.0%) | 0.947 | 97.6% | 0.021 |",
        "| `grocery/test` | 323 | 92.0% | 0.981 (0.960 to 0.990) |",
        "mango 50%",
        "| grocery | 405 test | MIT | WACV 2019 |",
    ):
        assert words in text


def test_card_states_what_a_retraining_noted_in_sentences() -> None:
    noted = {"mode": "quick", "notes": ["kiwi is left out.", "Pears too."], "views": 5}

    text = card_text(manifest(training=noted))

    assert "- Settings: mode quick, views 5.\n- kiwi is left out.\n- Pears too.\n" in text
    assert "notes" not in card_text(manifest(training=noted | {"notes": []}))


def test_card_of_a_version_that_cannot_refuse_says_so() -> None:
    text = card_text(manifest(labels=("apple", "mango"), none_label=None, calibration=None))

    assert "It cannot refuse" in text


def test_stored_card_begins_with_front_matter() -> None:
    _, front, body = model_card(manifest()).split("---\n", 2)

    assert yaml.safe_load(front)["pipeline_tag"] == "image-classification"
    assert body.strip().startswith("# Fruit classifier v0002")


def test_a_bar_in_a_name_breaks_no_table() -> None:
    text = card_text(manifest(sources=[
        DataSource(name="a|b", licence="", citation="", images={"train": 1})
    ]))  # fmt: skip

    assert "| a\\|b | 1 train | not stated | - |" in text
