"""Counts that add up, over spans and through their file form."""

import pytest

from app.figures import LATENCY_EDGES_MS, Figures, feature_bin, total

TIMING = {"wait": 0.2, "decode": 2.0, "inference": 8.0, "total": 10.2}


def figures(label: str = "apple", confidence: float = 0.9, total_ms: float = 10.2) -> Figures:
    found = Figures()
    found.add_prediction(label, confidence, TIMING | {"total": total_ms}, (0.5, 0.2, 0.3, 1.0, 0.1))
    return found


def test_spans_add_up() -> None:
    first, second = figures(), figures("mango", 0.5)
    second.refusals["InvalidImage"] += 2
    second.errors += 1

    together = total([first, second])

    assert dict(together.labels) == {"apple": 1, "mango": 1}
    assert (together.predictions, together.requests) == (2, 5)
    assert together.confidence == pytest.approx(1.4)
    assert together.latency_ms["total"] == pytest.approx(20.4)
    assert together.features["white_border"].total() == 2
    assert first.predictions == 1  # what was added together is left alone


def test_figures_are_read_as_they_were_written() -> None:
    written = total([figures(), figures("mango")])
    written.refusals["Overloaded"] += 3

    read = Figures.of_bytes(written.to_bytes())

    assert read == written


def test_a_span_without_anything_is_read_too() -> None:
    assert Figures.of_bytes(Figures().to_bytes()) == Figures()


def test_percentiles_are_right_to_a_bin() -> None:
    together = total(figures(total_ms=float(ms)) for ms in range(1, 101))
    for share, exact in ((0.5, 50.0), (0.95, 95.0), (0.99, 99.0)):
        found = together.percentile_ms("total", share)
        assert found is not None
        assert found == pytest.approx(exact, rel=0.13)
    assert Figures().percentile_ms("total", 0.5) is None


def test_what_takes_longer_than_any_bin_is_counted() -> None:
    slow = figures(total_ms=LATENCY_EDGES_MS[-1] * 10)
    assert slow.percentile_ms("total", 0.5) == LATENCY_EDGES_MS[-1]


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("confidence", 0.0, 0),
        ("confidence", 1.0, 15),
        ("confidence", 0.991, 14),
        ("brightness", 0.05, 0),
        ("brightness", 0.0501, 1),
        ("brightness", 1.0, 19),
    ],
)
def test_bins_hold_their_upper_edge(name: str, value: float, place: int) -> None:
    assert feature_bin(name, value) == place
