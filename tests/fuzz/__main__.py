"""Besiege a server of its own with hostile requests: ``python -m tests.fuzz --cases 10000``."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.fuzz.campaign import WARM_UP, Campaign, bytes_in, campaign, files_in

MOST_GROWTH_BYTES = 60_000_000


def main() -> int:
    """Run the campaign, print its table, and return 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="another one gives other cases")
    parser.add_argument("--show", type=int, default=20, help="how many problems to print")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, campaign(Path(name)) as besieged:
        begun = time.perf_counter()
        with suppress(KeyboardInterrupt):  # the table is of what was sent until then
            besieged.run(WARM_UP, options.seed)
            besieged.look()
            besieged.run(options.cases - sum(k.cases for k in besieged.kinds.values()),
                     options.seed + 1)  # fmt: skip
        took_s = time.perf_counter() - begun
        besieged.look()
        wrong = besieged.aftermath()
        growth = besieged.memory[2] - besieged.memory[1]
        if growth > MOST_GROWTH_BYTES:
            wrong.append(f"memory grew by {growth / 1e6:.0f} MB after the warm-up")
        errors = besieged.internal_errors()
        print(table(besieged, options.seed, took_s))
        for line, count in Counter(line[25:140] for line in errors).most_common(options.show):
            print(f"logged {count} x {line}")
        for problem, case, answer in besieged.problems[: options.show]:
            print(f"\n{problem}\n  {case.kind}: {case.what}\n  {case.method} {case.path[:120]}")
            print(f"  {case.headers!r:.200}\n  {case.body[:200]!r}\n  {case.call!r:.300}")
            print(f"  -> {answer.status} {answer.body[-300:]!r}")
        for sentence in wrong:
            print(f"afterwards: {sentence}")
        print(f"{len(besieged.problems)} answers and {len(wrong)} facts afterwards are wrong")
    return 1 if besieged.problems or wrong or errors else 0


def table(besieged: Campaign, seed: int, took_s: float) -> str:
    """Return what was sent and what came back, as a table of text."""
    lines = [
        f"{sum(k.cases for k in besieged.kinds.values()):,} cases, seed {seed}, {took_s:.0f} s",
        f"{'kind':<22}{'cases':>7}  {'answers':<58}{'slowest':>8}  which",
    ]
    for name, kind in sorted(besieged.kinds.items()):
        statuses = ", ".join(f"{status}: {n:,}" for status, n in sorted(kind.statuses.items()))
        lines.append(
            f"{name:<22}{kind.cases:>7,}  {statuses:<58}{kind.slowest_s:>6.2f} s  "
            f"{kind.slowest[:48]!a}"
        )
    start, warm, end = (size / 1e6 for size in besieged.memory)
    uploads = besieged.server.state_dir / "gradio"
    lines += [
        f"memory: {start:.0f} MB at the start, {warm:.0f} after {WARM_UP} cases, {end:.0f} at the "
        "end",
        f"temporary folder of the system: {len(besieged.there)} files before, "
        f"{files_in(besieged.temp)} after",
        f"uploads and pictures of the page, kept for an hour: 0 files before, "
        f"{files_in(uploads):,} of {bytes_in(uploads) / 1e6:.0f} MB after",
        f"photos that were accepted and are in the store: {besieged.kept:,}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
