"""The form of an answer."""

import numpy as np

from app.results import Prediction, Refusal, Timing, new_request_id, rank


def test_rank_sorts_by_probability_and_keeps_every_digit_of_float32() -> None:
    row = np.array([0.1, 0.7, 0.2], np.float32)

    assert rank(["a", "b", "c"], row, 1) == (("b", 0.7), ("c", 0.2), ("a", 0.1))
    assert rank(["a", "b", "c"], row, 1, top_k=1) == (("b", 0.7),)


def test_rank_puts_the_answer_first_even_where_another_is_more_probable() -> None:
    row = np.array([0.1, 0.5, 0.4], np.float32)

    assert rank(["a", "b", "none_of_these"], row, 2) == (
        ("none_of_these", 0.4),
        ("b", 0.5),
        ("a", 0.1),
    )


def test_rank_breaks_ties_in_the_order_of_the_labels() -> None:
    assert rank(["a", "b"], np.array([0.5, 0.5], np.float32), 0)[0] == ("a", 0.5)


def test_answer_as_documented() -> None:
    answer = Prediction("b", (("b", 0.75), ("a", 0.25)), "v0002", Timing(0.5, 1.0, 2.0, 3.5), "id")

    assert answer.to_dict() == {
        "label": "b",
        "probability": 0.75,
        "nearest": None,
        "probabilities": [
            {"label": "b", "probability": 0.75},
            {"label": "a", "probability": 0.25},
        ],
        "version": "v0002",
        "timing_ms": {"wait": 0.5, "decode": 1.0, "inference": 2.0, "total": 3.5},
        "request_id": "id",
    }


def test_heat_map_is_in_the_answer_only_where_it_was_asked_for() -> None:
    plain = Prediction("b", (("b", 1.0),), "v0002", Timing(0.5, 1.0, 2.0, 3.5), "id")
    explained = Prediction(
        "b", (("b", 1.0),), "v0002", Timing(0.5, 1.0, 2.0, 3.5), "id", heat_map=((0.0, 1.0),)
    )

    assert "heat_map" not in plain.to_dict()
    assert explained.to_dict()["heat_map"] == [[0.0, 1.0]]


def test_refusal_in_a_list_has_its_name() -> None:
    error = {"message": "no", "type": "InvalidImage", "request_id": "id"}

    assert Refusal("x.txt", error).to_dict() == {"name": "x.txt", "error": error}


def test_sane_request_id_is_kept_and_another_is_replaced() -> None:
    assert new_request_id("trace-1:a.b_C") == "trace-1:a.b_C"
    for proposed in (None, "", "a b", "x" * 65, "a\nb", "é"):
        assert new_request_id(proposed) not in (proposed, "")
    assert new_request_id() != new_request_id()
