"""What can be set from outside: the only reader of environment variables in this package."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeVar

from app.errors import InvalidSettings
from app.logs import FORMATS, LEVELS
from data.cores import available_cores
from data.images import ImageLimits
from data.sources import MIRROR_VARIABLE
from data.state import state_dir

N = TypeVar("N", int, float)
_SHORTEST_TOKEN: Final = 12

# As the Hub names repositories: 1 to 96 letters, digits, "-", "_" and ".", which neither begin nor
# end with "-" or "." and hold no two of these in a row.
_PART: Final = r"(?=.{1,96}$)\w+(?:[-.]\w+)*"


@dataclass(frozen=True)
class Settings:
    """Every setting of the running app, with its default.

    Attributes:
        state_dir: everything the program writes (``FRUIT_STATE_DIR``; ``var`` in the working
            folder by default).
        host: address to listen on (``GRADIO_SERVER_NAME``).
        port: TCP port; 0 takes a free one (``GRADIO_SERVER_PORT``).
        root_path: path under which a proxy shows the server, and which the proxy takes off, such as
            ``/fruit``; empty for none (``GRADIO_ROOT_PATH``).
        max_file_bytes: largest encoded image (``FRUIT_MAX_FILE_BYTES``).
        max_pixels: largest width x height of an image (``FRUIT_MAX_PIXELS``).
        max_request_bytes: largest body of a request or uploaded zip (``FRUIT_MAX_REQUEST_BYTES``).
        max_files: most images of one request, a zip's members included (``FRUIT_MAX_FILES``).
        max_zip_bytes: most inflated bytes of one zip (``FRUIT_MAX_ZIP_BYTES``).
        workers: threads that decode and predict; one more than the processor has cores by default
            (``FRUIT_WORKERS``).
        inference_threads: threads of onnxruntime within one prediction. More than 1 helps a lone
            caller and hurts many (``FRUIT_INFERENCE_THREADS``).
        max_pending: most requests waiting or being answered; the next one gets 429
            (``FRUIT_MAX_PENDING``).
        max_wait_s: longest wait for a worker, in seconds; then 429 (``FRUIT_MAX_WAIT_S``).
        admin_token: what the operator signs in with; empty for none (``FRUIT_ADMIN_TOKEN``).
            Without one, only the person at this machine is the operator, and nobody where other
            machines can reach the server.
        space_owner, space_host: who owns that Space, and its address (``SPACE_AUTHOR_NAME``,
            ``SPACE_HOST``).
        oauth_client_id, oauth_client_secret, oauth_provider: with which the owner signs in by the
            Hugging Face account; the Space sets them (``OAUTH_CLIENT_ID``, ``OAUTH_CLIENT_SECRET``,
            ``OPENID_PROVIDER_URL``).
        max_requests_per_minute: of one client that is not the operator; then 429
            (``FRUIT_MAX_REQUESTS_PER_MINUTE``).
        max_classes: most classes that the store may have (``FRUIT_MAX_CLASSES``).
        max_store_bytes: most bytes of photos that uploads may fill the store with
            (``FRUIT_MAX_STORE_BYTES``).
        min_free_bytes: what a file that the page or a Gradio client sends must leave free on the
            disk, or a twentieth of a small one; then 507 (``FRUIT_MIN_FREE_BYTES``).
        retrain_threads: threads of a retraining, half the cores by default; it runs at the lowest
            priority beside the predictions (``FRUIT_RETRAIN_THREADS``).
        base_set_mirror: address of a folder with the public archives as ``<source>.zip``, such as
            a school's own server; empty for the publishers' own (``FRUIT_BASE_SET_MIRROR``).
        alert_webhook: address that alerts are posted to as JSON; empty for none
            (``FRUIT_ALERT_WEBHOOK``).
        log_format: ``text``, or ``json`` for one object a line (``FRUIT_LOG_FORMAT``).
        log_level: ``debug``, ``info``, ``warning`` or ``error``; successful requests are logged at
            ``debug`` (``FRUIT_LOG_LEVEL``).
        max_sessions: most page and client sessions kept in memory (``FRUIT_MAX_SESSIONS``).
        upload_kept_s: how long a file that the page or a Gradio client sent is kept for its
            session, in seconds; at least 30. Photos of the store are no such files
            (``FRUIT_UPLOAD_KEPT_S``).
        space: the Hugging Face Space that this runs on, whose disk is lost at each restart; empty
            anywhere else (``SPACE_ID``, which a Space sets itself).
        hub_token: may write to the repositories below (``HF_TOKEN``).
        hub_dataset: ``owner/name`` of the data set repository that the photos are mirrored to;
            empty for none (``FRUIT_HUB_DATASET``).
        hub_models: ``owner/name`` of the model repository that the versions are mirrored to; empty
            for none (``FRUIT_HUB_MODELS``).
        hub_wait_s: from a change to its mirroring, in seconds, so that several go together; the
            Hub counts commits (``FRUIT_HUB_WAIT_S``).
        hub_endpoint: address of the Hub; empty for huggingface.co (``HF_ENDPOINT``).
    """

    state_dir: Path = Path("var")
    host: str = "127.0.0.1"
    port: int = 7860
    root_path: str = ""
    max_file_bytes: int = 20_000_000
    max_pixels: int = 64_000_000
    max_request_bytes: int = 100_000_000
    max_files: int = 200
    max_zip_bytes: int = 500_000_000
    workers: int = 2
    inference_threads: int = 1
    max_pending: int = 128
    max_wait_s: float = 10.0
    admin_token: str = field(default="", repr=False)
    space_owner: str = ""
    space_host: str = ""
    oauth_client_id: str = ""
    oauth_client_secret: str = field(default="", repr=False)
    oauth_provider: str = "https://huggingface.co"
    max_requests_per_minute: int = 600
    max_classes: int = 200
    max_store_bytes: int = 20_000_000_000
    min_free_bytes: int = 500_000_000
    retrain_threads: int = 1
    base_set_mirror: str = ""
    alert_webhook: str = ""
    log_format: str = "text"
    log_level: str = "info"
    max_sessions: int = 500
    upload_kept_s: int = 3600
    space: str = ""
    hub_token: str = field(default="", repr=False)
    hub_dataset: str = ""
    hub_models: str = ""
    hub_wait_s: float = 45.0
    hub_endpoint: str = ""

    @property
    def on_space(self) -> bool:
        """Whether this runs on a Hugging Face Space, so that what it writes is lost one day."""
        return bool(self.space)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def has_hub_sign_in(self) -> bool:
        """Whether the owner of the Space can sign in with the Hugging Face account."""
        return self.on_space and bool(self.space_owner and self.oauth_client_secret)

    @property
    def image_limits(self) -> ImageLimits:
        """The bounds on one image, as the decoder takes them."""
        return ImageLimits(max_bytes=self.max_file_bytes, max_pixels=self.max_pixels)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings that the environment asks for, defaults elsewhere.

        Args:
            environ: usually ``os.environ``.

        Raises:
            InvalidSettings: a variable is not a number, or out of range.
        """
        count = _reader(environ, int, lower=1)
        return cls(
            state_dir=state_dir(environ).expanduser().absolute(),
            host=environ.get("GRADIO_SERVER_NAME") or cls.host,
            port=_reader(environ, int, lower=0, upper=65_535)("GRADIO_SERVER_PORT", cls.port),
            root_path=_root_path(environ),
            max_file_bytes=count("FRUIT_MAX_FILE_BYTES", cls.max_file_bytes),
            max_pixels=count("FRUIT_MAX_PIXELS", cls.max_pixels),
            max_request_bytes=count("FRUIT_MAX_REQUEST_BYTES", cls.max_request_bytes),
            max_files=count("FRUIT_MAX_FILES", cls.max_files),
            max_zip_bytes=count("FRUIT_MAX_ZIP_BYTES", cls.max_zip_bytes),
            workers=count("FRUIT_WORKERS", available_cores() + 1),
            inference_threads=count("FRUIT_INFERENCE_THREADS", cls.inference_threads),
            max_pending=count("FRUIT_MAX_PENDING", cls.max_pending),
            max_wait_s=_reader(environ, float, lower=0.0)("FRUIT_MAX_WAIT_S", cls.max_wait_s),
            admin_token=_token(environ, "FRUIT_ADMIN_TOKEN"),
            space_owner=environ.get("SPACE_AUTHOR_NAME", ""),
            space_host=environ.get("SPACE_HOST", ""),
            oauth_client_id=environ.get("OAUTH_CLIENT_ID", ""),
            oauth_client_secret=environ.get("OAUTH_CLIENT_SECRET", ""),
            oauth_provider=environ.get("OPENID_PROVIDER_URL", cls.oauth_provider).rstrip("/"),
            max_requests_per_minute=count(
                "FRUIT_MAX_REQUESTS_PER_MINUTE", cls.max_requests_per_minute
            ),
            max_classes=count("FRUIT_MAX_CLASSES", cls.max_classes),
            max_store_bytes=count("FRUIT_MAX_STORE_BYTES", cls.max_store_bytes),
            min_free_bytes=_reader(environ, int, lower=0)(
                "FRUIT_MIN_FREE_BYTES", cls.min_free_bytes
            ),
            retrain_threads=count("FRUIT_RETRAIN_THREADS", max(1, available_cores() // 2)),
            base_set_mirror=environ.get(MIRROR_VARIABLE, cls.base_set_mirror).strip(),
            alert_webhook=environ.get("FRUIT_ALERT_WEBHOOK", cls.alert_webhook).strip(),
            log_format=_choice(environ, "FRUIT_LOG_FORMAT", cls.log_format, FORMATS),
            log_level=_choice(environ, "FRUIT_LOG_LEVEL", cls.log_level, LEVELS),
            max_sessions=count("FRUIT_MAX_SESSIONS", cls.max_sessions),
            upload_kept_s=_reader(environ, int, lower=30)("FRUIT_UPLOAD_KEPT_S", cls.upload_kept_s),
            space=environ.get("SPACE_ID", "").strip(),
            hub_token=environ.get("HF_TOKEN", "").strip(),
            hub_dataset=_repository(environ, "FRUIT_HUB_DATASET"),
            hub_models=_repository(environ, "FRUIT_HUB_MODELS"),
            hub_wait_s=_reader(environ, float, lower=0.0)("FRUIT_HUB_WAIT_S", cls.hub_wait_s),
            hub_endpoint=environ.get("HF_ENDPOINT", "").strip().rstrip("/"),
        )


def _root_path(environ: Mapping[str, str]) -> str:
    path = environ.get("GRADIO_ROOT_PATH", "").strip().rstrip("/")
    if path and not path.startswith("/"):
        raise InvalidSettings(
            f"GRADIO_ROOT_PATH is {path!r}; it must be a path such as /fruit. The host is taken "
            "from the proxy's X-Forwarded-Host and X-Forwarded-Proto. Mend it or unset it."
        )
    return path


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Return whether a name or address is this machine's own."""
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _token(environ: Mapping[str, str], name: str) -> str:
    """Return a token that is long enough not to be guessed."""
    token = environ.get(name, "").strip()
    if token and (len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise InvalidSettings(
            f"{name} has {len(token)} characters; it must be at least {_SHORTEST_TOKEN} letters, "
            "digits or signs of ASCII. `python -c 'import secrets; "
            "print(secrets.token_urlsafe(24))'` makes a good one."
        )
    return token


def _choice(environ: Mapping[str, str], name: str, default: str, known: Sequence[str]) -> str:
    """Return a variable that must be one of a few words."""
    text = environ.get(name, "").strip().lower()
    if text and text not in known:
        raise InvalidSettings(
            f"{name} is {text!r}; it must be one of {', '.join(known)}. Mend it or unset it."
        )
    return text or default


def _repository(environ: Mapping[str, str], name: str) -> str:
    """Return a variable that must name a repository on the Hub; empty where it is not set."""
    text = environ.get(name, "").strip()
    if not text:
        return ""
    parts = text.split("/")
    if len(parts) != 2 or not all(re.fullmatch(_PART, part, re.ASCII) for part in parts):
        raise InvalidSettings(
            f"{name} is {text!r}; it must be owner/name, such as orchard/fruit-photos. Mend it or "
            "unset it."
        )
    if not environ.get("HF_TOKEN", "").strip():
        raise InvalidSettings(
            f"{name} is {text!r}, but HF_TOKEN is not set; it must be a token that may write there "
            "(https://huggingface.co/settings/tokens). Set it, on a Space as a secret, or unset "
            f"{name}."
        )
    return text


def _reader(
    environ: Mapping[str, str], kind: type[N], *, lower: N, upper: float = math.inf
) -> Callable[[str, N], N]:
    """Return a function that reads one numeric variable, given its name and default."""

    def read(name: str, default: N) -> N:
        text = environ.get(name, "").strip()
        if not text:
            return default
        try:
            value = kind(text)
        except ValueError:
            value = kind("-1")
        if not lower <= value <= upper:
            bounds = f"from {lower} to {upper:,}" if upper != math.inf else f"{lower} or more"
            what = "a whole number" if kind is int else "a number"
            raise InvalidSettings(
                f"{name} is {text!r}; it must be {what}, {bounds}. Mend it or unset it."
            )
        return value

    return read
