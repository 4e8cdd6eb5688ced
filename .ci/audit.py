"""Has any package here a known vulnerability? Asks PyPI through pip-audit.

    python .ci/audit.py

Ends with 1 where one has. Where the service cannot be reached, or knows none of the packages (as
behind a mirror that serves files only), it says so and ends with 0: a missing network is no
finding, and no clean bill either.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
# What is audited, each with pip-audit's own arguments: everything that is installed for the tests,
# and exactly what a Space installs.
SUBJECTS: Final = {
    "the installed packages": ("--local", "--skip-editable"),
    "requirements.txt": ("-r", str(ROOT / "requirements.txt"), "--no-deps", "--disable-pip"),
}
# Findings that do not concern this project, by id, each with the reason.
EXCEPTIONS: Final[Mapping[str, str]] = {}
LIMIT_S: Final = 120

Run = Callable[[Sequence[str]], tuple[str, str]]


def main(run: Run | None = None) -> int:
    """Audit every subject, print what was found, and return the exit status."""
    run = run or run_pip_audit
    for name, reason in EXCEPTIONS.items():
        print(f"audit: {name} is let pass: {reason}")
    ignored = [argument for name in EXCEPTIONS for argument in ("--ignore-vuln", name)]
    findings = 0
    for subject, arguments in SUBJECTS.items():
        report, complaint = run((*arguments, *ignored))
        findings += tell(subject, report, complaint)
    return 1 if findings else 0


def tell(subject: str, report: str, complaint: str) -> int:
    """Print what pip-audit says of one subject, and return how many vulnerabilities it found.

    Args:
        subject: what was audited, in words.
        report: its JSON; empty or broken off where it could not finish.
        complaint: what it said besides.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, LookupError, TypeError):
        last = complaint.strip().splitlines()[-1:] or ["it said nothing"]
        print(f"audit: SKIPPED for {subject}: the service cannot be asked ({last[0][:300]}).")
        return 0
    audited = [package for package in packages if "skip_reason" not in package]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if not audited:
        print(f"audit: SKIPPED for {subject}: the service knows none of {len(skipped)} packages.")
        return 0
    findings = 0
    for package in audited:
        for found in package["vulns"]:
            findings += 1
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            what = f"{package['name']} {package['version']}: {found['id']}"
            print(f"audit: {what}; mended in {mended}")
    unknown = f"; unknown to the service: {', '.join(skipped)}" if skipped else ""
    print(f"audit: {findings} findings in {len(audited)} packages of {subject}{unknown}.")
    return findings


def run_pip_audit(arguments: Sequence[str]) -> tuple[str, str]:
    """Run pip-audit, and return its JSON report and what it said besides."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [*command, "--timeout", "5", *arguments],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {LIMIT_S} s"
    if done.returncode not in (0, 1):  # 2: wrong arguments, which is a fault of this file
        raise SystemExit(f"audit: pip-audit ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout, done.stderr


if __name__ == "__main__":
    sys.exit(main())
