"""The audit of packages fails on a finding, and never passes a silence off as a clean bill."""

import importlib.util
import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ci_audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


SOUND = {"name": "numpy", "version": "2.4.6", "vulns": []}
FAULTY = {
    "name": "pillow",
    "version": "9.0.0",
    "vulns": [{"id": "PYSEC-2022-10", "fix_versions": ["9.0.1"], "aliases": [], "description": ""}],
}
UNKNOWN = {"name": "own", "skip_reason": "Dependency not found on PyPI"}


def run_of(*answers: tuple[str, str]) -> Any:
    left = list(answers)
    return lambda arguments: left.pop(0)


def test_a_finding_in_either_subject_fails(
    audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    status = audit.main(run_of((report(SOUND), ""), (report(SOUND, FAULTY, UNKNOWN), "")))

    assert status == 1
    shown = capsys.readouterr().out
    assert "audit: 0 findings in 1 packages of the installed packages." in shown
    assert "audit: pillow 9.0.0: PYSEC-2022-10; mended in 9.0.1" in shown
    assert "unknown to the service: own" in shown


def test_without_a_finding_it_says_how_many_were_looked_at(
    audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(run_of((report(SOUND), ""), (report(SOUND, SOUND), ""))) == 0

    assert "0 findings in 2 packages of requirements.txt." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "complaint", "expected"),
    [
        ("", "ProxyError: cannot connect", "the service cannot be asked (ProxyError: cannot conn"),
        ("", "", "the service cannot be asked (it said nothing)"),
        ('{"dependencies": [', "", "the service cannot be asked"),
        (report(UNKNOWN, UNKNOWN), "", "the service knows none of 2 packages"),
    ],
)
def test_silence_is_said_in_words(
    audit: ModuleType,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    complaint: str,
    expected: str,
) -> None:
    assert audit.main(run_of((answer, complaint), (answer, complaint))) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("SKIPPED" in line and expected in line for line in lines)


def test_an_exception_is_passed_on_and_printed_with_its_reason(
    audit: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "EXCEPTIONS", {"PYSEC-1": "only the GIF writer, which is not used"})
    seen: list[Sequence[str]] = []

    def run(arguments: Sequence[str]) -> tuple[str, str]:
        seen.append(arguments)
        return report(SOUND), ""

    assert audit.main(run) == 0
    assert all(arguments[-2:] == ("--ignore-vuln", "PYSEC-1") for arguments in seen)
    assert "PYSEC-1 is let pass: only the GIF writer" in capsys.readouterr().out


class _Advisories(BaseHTTPRequestHandler):
    """Answers as OSV does: one advisory for jinja2, none for anything else."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        package = query["package"]
        fixed = [{"introduced": "0"}, {"fixed": "3.1.6"}]
        advisory = {
            "id": "GHSA-0000-0000-0001",
            "aliases": [],
            "summary": "A sandbox that leaks.",
            "affected": [
                {"package": package, "ranges": [{"type": "ECOSYSTEM", "events": fixed}],
                 "versions": [query["version"]]}
            ],
        }  # fmt: skip
        body = json.dumps({"vulns": [advisory]} if package["name"] == "jinja2" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def advisories() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Advisories)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()
    thread.join()


def test_pip_audit_reports_as_it_is_read(
    audit: ModuleType, advisories: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("jinja2==3.1.2\nnumpy==2.4.6\n")

    answer = audit.run_pip_audit(
        ("-s", "osv", "--osv-url", advisories, "--no-deps", "--disable-pip", "-r",
         str(tmp_path / "requirements.txt"))
    )  # fmt: skip

    assert audit.tell("two packages", *answer) == 1
    shown = capsys.readouterr().out
    assert "audit: jinja2 3.1.2: GHSA-0000-0000-0001; mended in 3.1.6" in shown
    assert "audit: 1 findings in 2 packages of two packages." in shown


def test_an_unreachable_service_is_a_skip(
    audit: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("numpy==2.4.6\n")

    answer = audit.run_pip_audit(
        ("-s", "osv", "--osv-url", "http://127.0.0.1:9/v1/query", "--no-deps", "--disable-pip",
         "-r", str(tmp_path / "requirements.txt"))
    )  # fmt: skip

    assert audit.tell("numpy", *answer) == 0
    assert "audit: SKIPPED for numpy: the service cannot be asked" in capsys.readouterr().out
