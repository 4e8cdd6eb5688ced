"""Command line: ``python -m app`` serves; ``python -m app predict PATH...`` answers and ends.

Installed, it is called ``fruit-classifier``.
"""

import argparse
import ctypes
import json
import logging
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from app.errors import AddressUnusable, InvalidSettings, ServingError
from app.logs import configure_logs
from app.results import Prediction, Refusal, new_request_id
from app.settings import Settings

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

T = TypeVar("T")
COMMAND: Final = "fruit-classifier"
CHUNK: Final = 64  # images held at a time
_ADDRESS: Final = {"host": "GRADIO_SERVER_NAME", "port": "GRADIO_SERVER_PORT"}
_ARENA_MAX: Final = -8
_MMAP_THRESHOLD: Final = -3  # bytes: larger blocks come from the system and go back to it
_TRIM_THRESHOLD: Final = -1  # bytes that an arena may keep at its end
# A Space's proxy is in one of these; what a client itself says about its address does not count.
_INNER_NETWORKS: Final = ["127.0.0.1", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.from_environment(os.environ | _address_of(options))
        configure_logs(settings.log_format, settings.log_level)
        if options.command == "predict":
            return predict(settings, options.paths, options.top_k, as_json=options.json)
        return serve(settings)
    except InvalidSettings as error:
        print(f"error: {_by_flags(str(error), options)}", file=sys.stderr)
        return 2
    except ServingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def serve(settings: Settings) -> int:
    """Serve until interrupted or terminated; requests in flight are finished first."""
    limit_arenas()
    from app.factory import create_app
    from app.holding import holding

    with holding(settings.state_dir):
        check_address(settings.host, settings.port)
        server = make_server(settings, create_app(settings))
        server.run()
    return 0 if server.started else 1


def check_address(host: str, port: int) -> None:
    """Find out in a moment, and not after the model is loaded, that a port is taken.

    Raises:
        AddressUnusable: nothing can listen there.
    """
    try:
        for family, *_, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family) as attempt:
                # Elsewhere than on POSIX systems, this would take the port from who has it.
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
                attempt.bind(address)
    except OSError as error:
        raise AddressUnusable(host, port, error) from error


def limit_arenas() -> None:
    """Let glibc keep two arenas of memory, and give large blocks back at once.

    By default there are up to eight arenas a core, and each thread that ever decoded a photo holds
    freed memory in its own. And after the first large picture blocks of up to 32 MB are taken from
    the arenas, where what lies between them keeps them for good: a handful of pictures at the limit
    cost half a gigabyte. The numbers of the options are those of ``malloc.h``; systems with another
    library are left alone.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        for option, value in (
            (_ARENA_MAX, 2),
            (_MMAP_THRESHOLD, 4 << 20),
            (_TRIM_THRESHOLD, 16 << 20),
        ):
            mallopt(option, value)


def make_server(settings: Settings, app: "FastAPI") -> "uvicorn.Server":
    """Return the server for the app; it prints its address once it answers."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                port = self.servers[0].sockets[0].getsockname()[1]
                host = f"[{settings.host}]" if ":" in settings.host else settings.host
                print(f"Running on http://{host}:{port}  (REST: /docs, stop: Ctrl-C)", flush=True)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.end_streams()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        root_path=settings.root_path,
        log_level="warning",
        log_config=None,  # what it logs is written as all the rest is
        access_log=False,
        forwarded_allow_ips=_INNER_NETWORKS if settings.on_space else None,
        ws="none",  # a request to upgrade is answered as a plain one
        # Longer than clients and proxies keep theirs, or a request meets its connection's end.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=8,
    )
    return Server(config)


def predict(settings: Settings, paths: Sequence[Path], top_k: int | None, *, as_json: bool) -> int:
    """Print the answer to each image; the exit status is 1 where one was refused."""
    from app.factory import create_service
    from app.uploads import iterate_images

    logging.getLogger().setLevel(logging.ERROR)
    # The limit on files protects a server from strangers; here, nobody else is waiting.
    settings = replace(settings, max_files=sys.maxsize // 2, max_zip_bytes=sys.maxsize)
    service = create_service(settings)
    request_id = new_request_id()
    answers: list[Prediction | Refusal] = []
    try:
        for files in _chunks(iterate_images(paths, settings, request_id), CHUNK):
            answers += service.predict_many(files, top_k=top_k, request_id=request_id)
    finally:
        service.close()
    print(_as_json(answers) if as_json else _as_table(answers))
    return 1 if any(isinstance(answer, Refusal) for answer in answers) else 0


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _as_json(answers: Sequence[Prediction | Refusal]) -> str:
    dicts = [answer.to_dict() for answer in answers]
    return json.dumps(dicts[0] if len(dicts) == 1 else dicts, indent=2, ensure_ascii=False)


def _as_table(answers: Sequence[Prediction | Refusal]) -> str:
    width = max(len(answer.name or "") for answer in answers)
    lines = []
    for answer in answers:
        name = f"{answer.name or '':<{width}}  "
        if isinstance(answer, Refusal):
            lines.append(f"{name}refused: {answer.error['message']}")
            continue
        others = ", ".join(f"{label} {value:.1%}" for label, value in answer.probabilities[1:4])
        timing = f"{answer.version}, {answer.timing_ms.total:.1f} ms"
        first = f"{answer.label} {answer.probability:.1%}"
        lines.append(f"{name}{first:<18} ({others or 'top 1 only'}; {timing})")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    called = Path(sys.argv[0]).stem
    name = COMMAND if called == COMMAND else "python -m app"
    parser = argparse.ArgumentParser(
        prog=name,
        description="Name the fruit on photos: serve a page and a REST API, or answer here.",
        epilog="All other settings are environment variables; the README lists "
        "them. State is kept in ./var, or where FRUIT_STATE_DIR says.",
    )
    parser.add_argument("--version", action="version", version=f"{COMMAND} {_version()}")
    _add_address(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_address(commands.add_parser("serve", help="serve the page and the REST routes (default)"))
    command = commands.add_parser("predict", help="name the fruit on images, zips or folders")
    command.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    command.add_argument("--json", action="store_true", help="print what POST /api/predict answers")
    command.add_argument("--top-k", type=int, metavar="K", help="show K classes (default: all)")
    return parser


def _add_address(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each setting that says where to listen."""
    for flag, variable in _ADDRESS.items():
        # What the subcommand does not get must not replace what stands before it.
        parser.add_argument(
            f"--{flag}",
            default=argparse.SUPPRESS,
            help=f"serve here, whatever {variable} says",
        )


def _address_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the settings that the flags give, by the names of their environment variables."""
    given = vars(options)
    return {variable: given[flag] for flag, variable in _ADDRESS.items() if flag in given}


def _by_flags(text: str, options: argparse.Namespace) -> str:
    """Return what is wrong with a setting, by the flag where that gave it."""
    for flag, variable in _ADDRESS.items():
        if flag in vars(options):
            text = text.replace(variable, f"--{flag}")
    return text


def _version() -> str:
    try:
        return version(COMMAND)
    except PackageNotFoundError:  # a Space installs what it needs, and not the project itself
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
