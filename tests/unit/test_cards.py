"""Answers as HTML and CSV: what is shown, and that nothing from outside is run."""

import csv
import io

import pytest

from app.results import Prediction, Refusal, Timing
from app.tabs.cards import answers_table, confidence, percent, prediction_card, refusal_card, to_csv

EVIL = '<script>alert("x")</script>'


def answer(name: str | None = None, probability: float = 0.9731) -> Prediction:
    pairs = (("red_onion", probability), ("apple", 1 - probability))
    return Prediction("red_onion", pairs, "v0007", Timing(0.25, 1.25, 0.5, 2.0), "id", name)


def refusal(name: str, message: str = "It is damaged.") -> Refusal:
    return Refusal(name, {"message": message, "type": "InvalidImage", "request_id": "id"})


def test_card_shows_label_every_probability_times_and_version() -> None:
    html = prediction_card(answer(), "")

    for text in ("Red onion", "97.3 %", "2.7 %", "0.2 ms", "1.2 ms", "0.5 ms", "2.0 ms", "v0007"):
        assert text in html
    assert 'data-probability="0.9731"' in html


def test_sure_and_unsure_answers_look_different() -> None:
    assert [confidence(answer(probability=p))[0] for p in (0.95, 0.7, 0.3)] == [
        "fc-sure-high",
        "fc-sure-middle",
        "fc-sure-low",
    ]


def test_none_of_these_is_said_with_the_nearest_guess() -> None:
    pairs = (("none_of_these", 0.58), ("red_onion", 0.4), ("apple", 0.02))
    refused = Prediction(
        "none_of_these", pairs, "v0007", Timing(0, 1, 1, 2), "id", "a.jpg", nearest="red_onion"
    )

    html = prediction_card(refused, "")
    table = answers_table([refused, answer("b.jpg")], ["", ""])

    assert "None of these" in html
    assert "The nearest guess is red onion, 40.0 %." in html
    assert confidence(refused)[0] == "fc-none"
    assert "1 of 2 photos named · 1 none of these" in table


def test_a_refused_guess_that_is_likelier_than_none_of_these_is_called_unsure() -> None:
    pairs = (("red_onion", 0.54), ("none_of_these", 0.44), ("apple", 0.02))
    refused = Prediction(
        "none_of_these", pairs, "v0007", Timing(0, 1, 1, 2), "id", "a.jpg", nearest="red_onion"
    )

    html = prediction_card(refused, "")

    assert "The nearest guess is red onion, 54.0 %: too unsure for a name." in html
    assert confidence(refused)[0] == "fc-none"


def test_a_name_less_probable_than_none_of_these_says_so() -> None:
    pairs = (("red_onion", 0.3), ("none_of_these", 0.6), ("apple", 0.1))
    doubted = Prediction("red_onion", pairs, "v0007", Timing(0, 1, 1, 2), "id")

    assert confidence(doubted) == ("fc-sure-low", "Perhaps none of these")


def test_the_heat_map_stands_under_why() -> None:
    assert "Why?" not in prediction_card(answer(), "")
    assert '<img src="data:heat"' in prediction_card(answer(), "data:photo", "data:heat")


def test_percent_never_rounds_up_to_certainty() -> None:
    assert [percent(p) for p in (1.0, 0.99999, 0.5, 0.0)] == [
        "100.0 %",
        "99.9 %",
        "50.0 %",
        "0.0 %",
    ]


def test_names_and_messages_are_escaped() -> None:
    html = answers_table([answer(EVIL), refusal(EVIL, EVIL)], ["", ""])
    html += prediction_card(answer(EVIL), "") + refusal_card(refusal(EVIL, EVIL))

    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_table_counts_what_was_refused() -> None:
    html = answers_table([answer("a.jpg"), refusal("b.txt")], ["data:,", ""])

    assert "1 of 2 photos named" in html
    assert "1 refused" in html
    assert "It is damaged." in html


def test_csv_has_a_line_a_file_and_a_column_a_class() -> None:
    rows = list(csv.reader(io.StringIO(to_csv([answer("a.jpg", 0.75), refusal("b.txt")]))))

    assert rows == [
        ["name", "label", "probability", "version", "error", "apple", "red_onion"],
        ["a.jpg", "red_onion", "0.75", "v0007", "", "0.25", "0.75"],
        ["b.txt", "", "", "", "It is damaged."],
    ]


def test_csv_cells_are_no_formulas() -> None:
    rows = list(csv.reader(io.StringIO(to_csv([refusal("=1+1", "@SUM(A1)"), answer("-2")]))))

    assert [rows[1][0], rows[1][4], rows[2][0]] == ["'=1+1", "'@SUM(A1)", "'-2"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff20"])
def test_no_cell_begins_as_a_formula_whatever_it_is_called(start: str) -> None:
    evil = f"{start}cmd|' /C calc'!A0"
    named = Prediction(evil, ((evil, 1.0),), "v0001", Timing(0, 1, 1, 2), "id", evil)

    rows = list(csv.reader(io.StringIO(to_csv([named, refusal(evil, evil)]), newline="")))

    cells = [cell for row in rows for cell in row if "cmd" in cell]
    assert len(cells) == 5  # the column, the file, the answer; the file and the reason
    assert all(cell.startswith(f"'{start}") for cell in cells)
