"""Errors of serving, and the two places where any error of ours becomes an answer.

ServingError
├── InvalidSettings     (ValueError)    an environment variable cannot be used
├── StateInUse          (RuntimeError)  another app works in the state folder
├── StateUnusable       (OSError)       the state folder cannot be written
├── AddressUnusable     (OSError)       the server cannot listen there
├── BadRequest          (ValueError)    400  the request is not put together as documented
│   └── OtherSignIn                          the page was made for another sign-in (``app.pages``)
├── InvalidSchedule     (ValueError)    400  a schedule cannot be kept
├── TokenRequired       (PermissionError)  401  this is the operator's, and no token came
├── WrongToken          (PermissionError)  401  another one came
├── OperatorOff         (PermissionError)  403  this is the operator's, and nobody is one here
├── FromAnotherSite     (PermissionError)  403  another site's page sent the request
├── UnknownRoute        (LookupError)   404  no such route under /api
├── JobNotFound         (LookupError)   404  no job has that number
├── AlertNotFound       (LookupError)   404  no alert has that number
├── MethodNotAllowed    (LookupError)   405  the route exists, with another method
├── NotReady            (RuntimeError)  409  a retraining cannot start yet
├── AnotherIsLive       (RuntimeError)  409  the live version is not the one that was meant
├── StoreFull           (RuntimeError)  413  the store holds as much as it may
├── PayloadTooLarge     (ValueError)    413  more bytes than a file or a request may have
├── TooManyFiles        (ValueError)    413  more images than one request may have
├── UnsupportedContent  (ValueError)    415  the body is of a type that is not read
├── Overloaded          (RuntimeError)  429  all workers are busy and enough requests wait
├── TooManyRequests     (RuntimeError)  429  this client sends more than it may
├── TooManyAttempts     (RuntimeError)  429  this client sent too many wrong tokens
├── NotStored           (OSError)       507  the disk is full, or does not take what is written
├── NoModel             (RuntimeError)  503  no version could be loaded
├── ToolFailed          (RuntimeError)  what an MCP client is told of any of these
├── HubError            (ConnectionError)  the Hub could not be asked, or said no
│   ├── HubRefused                      it does not take the token
│   ├── HubChanged                      another commit came first
│   └── StateElsewhere                  a repository holds a state that is not this one's
└── ModelMismatch       (ValueError)    409  a model file is not what its manifest says
"""

import errno
import html
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import OperationalError

from data.errors import DataError, ImageTooLarge, UnsupportedImage
from models.errors import (
    InvalidVersion,
    ModelError,
    VersionInUse,
    VersionNotFound,
    VersionRejected,
)

if TYPE_CHECKING:
    import gradio as gr

_log = logging.getLogger(__name__)


class ServingError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidSettings(ServingError, ValueError):
    """An environment variable holds a value that cannot be used."""


class StateInUse(ServingError, RuntimeError):
    """Another app works in the same state folder."""

    def __init__(self, folder: Path, pid: str) -> None:
        who = f"the app with process {pid}" if pid else "another app"
        super().__init__(
            f"{folder} is in use by {who}. Stop that one, or give this one another folder with "
            "FRUIT_STATE_DIR."
        )


class StateUnusable(ServingError, OSError):
    """The state folder cannot be made or written."""

    def __init__(self, folder: Path, problem: OSError) -> None:
        super().__init__(
            f"{folder} cannot be written ({problem.strerror or problem}). Make it writable, or "
            "name another folder with FRUIT_STATE_DIR."
        )


class AddressUnusable(ServingError, OSError):
    """The server cannot listen where it was told to."""

    def __init__(self, host: str, port: int, problem: OSError) -> None:
        super().__init__(
            f"The server cannot listen on {host}, port {port} ({problem.strerror or problem}). "
            "Choose others with --host and --port, or GRADIO_SERVER_NAME and GRADIO_SERVER_PORT "
            "(port 0 takes any free one), or end the program that has this one."
        )


class NotStored(ServingError, OSError):
    """The disk is full, or does not take what is written."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"Nothing was kept: the server's disk does not take it ({problem}). Its operator has "
            "to make room; then try again."
        )


class BadRequest(ServingError, ValueError):
    """The request is not put together as the documentation asks."""


class TokenRequired(ServingError, PermissionError):
    """The request is one that only the operator may send, and has no token."""

    def __init__(self) -> None:
        super().__init__(
            "This is for the operator. Send the token as `Authorization: Bearer TOKEN` or "
            "`X-Operator-Token: TOKEN`, or sign in on the page."
        )


class WrongToken(ServingError, PermissionError):
    """The token is not the operator's."""

    def __init__(self) -> None:
        super().__init__("That is not the operator's token. Look it up in FRUIT_ADMIN_TOKEN.")


class OperatorOff(ServingError, PermissionError):
    """The request is one that only the operator may send, and nobody is the operator here.

    Args:
        at_machine: whether the person at the server's machine is, by its own address.
    """

    def __init__(self, *, at_machine: bool = False) -> None:
        where = (
            "Without a token, this is only for the person at the server's own machine, at "
            "http://127.0.0.1 or http://localhost, without a proxy."
            if at_machine
            else "This is for the operator, and off: other machines can reach this server, and it "
            "has no token to tell the operator by."
        )
        super().__init__(f"{where} Set FRUIT_ADMIN_TOKEN and start it again.")


class FromAnotherSite(ServingError, PermissionError):
    """The page of another site made a browser send the request."""

    def __init__(self) -> None:
        super().__init__(
            "A page of another site sent this request, which only this server's own page may. "
            "Open the page itself; programs send the operator's token."
        )


class InvalidSchedule(ServingError, ValueError):
    """A schedule holds a value that cannot be used."""


class JobNotFound(ServingError, LookupError):
    """No job has that number."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"There is no job {job_id}. GET /api/jobs lists those there are.")


class AlertNotFound(ServingError, LookupError):
    """No alert has that number."""

    def __init__(self, alert_id: int) -> None:
        super().__init__(f"There is no alert {alert_id}. GET /api/alerts lists those there are.")


class NotReady(ServingError, RuntimeError):
    """A retraining cannot start, and why."""


class TooManyRequests(ServingError, RuntimeError):
    """One client sends more requests than it may.

    Args:
        retry_after_s: when to try again, in seconds.
    """

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(
            f"Too many requests came from this address within a minute; try again in "
            f"{retry_after_s} s, and send several photos in one request."
        )


class TooManyAttempts(ServingError, RuntimeError):
    """One client sent too many wrong tokens.

    Args:
        retry_after_s: when to try again, in seconds.
    """

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"Too many wrong tokens came from here; try again in {retry_after_s} s.")


class AnotherIsLive(ServingError, RuntimeError):
    """The version that is live is not the one that was to be replaced."""

    def __init__(self, version: str) -> None:
        super().__init__(f"{version} was put live meanwhile. Look at it first, then try again.")
        self.version = version


class StoreFull(ServingError, RuntimeError):
    """The store holds as many classes, or bytes, as it may."""


class UnknownRoute(ServingError, LookupError):
    """There is no such route."""

    def __init__(self, path: str, available: Sequence[str]) -> None:
        super().__init__(f"There is no {path}; available: {', '.join(available)}. See /docs.")


class MethodNotAllowed(ServingError, LookupError):
    """The route exists, but not for this method."""

    def __init__(self, method: str, path: str, allowed: str) -> None:
        super().__init__(f"{path} does not take {method}; use {allowed}. See /docs.")
        self.allowed = allowed


class PayloadTooLarge(ServingError, ValueError):
    """A file or a request has more bytes than is accepted.

    Args:
        what: has them, such as ``The image``.
        limit_bytes: most that are accepted.
        size_bytes: how many there are; None where it was not read to its end.
        of_images: whether they are those of images.
    """

    def __init__(
        self, what: str, limit_bytes: int, size_bytes: int | None = None, *, of_images: bool = True
    ) -> None:
        size = f"{size_bytes:,} bytes" if size_bytes is not None else "too many bytes"
        advice = "Resize the image, or send fewer." if of_images else "Send less."
        super().__init__(f"{what} has {size}; the limit is {limit_bytes:,}. {advice}")


class TooManyFiles(ServingError, ValueError):
    """One request holds more images than is accepted."""

    def __init__(self, count: int | None, limit: int) -> None:
        received = f"{count:,} images" if count is not None else "too many images"
        super().__init__(
            f"The request holds {received}; the limit is {limit:,}. Send them in several requests."
        )


class UnsupportedContent(ServingError, ValueError):
    """The body is of a content type that is not read."""


class Overloaded(ServingError, RuntimeError):
    """All workers are busy and as many requests wait as may.

    Args:
        retry_after_s: when to try again, in seconds.
    """

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        super().__init__(
            f"The server is busy with other images; try again in {self.retry_after_s} s."
        )


class NoModel(ServingError, RuntimeError):
    """No model version could be loaded, so nothing can be predicted."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"No model is loaded: {problem} Train one with `python -m training`, then start again."
        )


class ToolFailed(ServingError, RuntimeError):
    """A tool could not answer; the sentence is all that an MCP client gets to see."""


class ModelMismatch(ServingError, ValueError):
    """A model file does not take or return what its manifest says."""


class HubError(ServingError, ConnectionError):
    """The Hub could not be asked, or said no."""


class HubRefused(HubError):
    """The Hub does not take the token, so asking again is of no use."""


class HubChanged(HubError):
    """Another commit came first."""

    def __init__(self, repository: str) -> None:
        super().__init__(f"{repository} was written by somebody else at the same time.")


class StateElsewhere(HubError):
    """A repository holds a state that was neither written nor restored here."""

    def __init__(self, repository: str, why: str) -> None:
        super().__init__(
            f"{repository} is not written: {why}. Start again with an empty state folder to "
            "restore what it holds, or name an empty repository to keep what is here."
        )


_DISK_PROBLEMS: Final = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM,
)  # fmt: skip
_SQLITE_PROBLEMS: Final = (
    "database or disk is full", "attempt to write a readonly database", "disk I/O error",
)  # fmt: skip
_STATUS: Final[dict[type[Exception], int]] = {
    BadRequest: 400,
    InvalidSchedule: 400,
    TokenRequired: 401,
    WrongToken: 401,
    OperatorOff: 403,
    FromAnotherSite: 403,
    JobNotFound: 404,
    AlertNotFound: 404,
    VersionNotFound: 404,
    NotReady: 409,
    AnotherIsLive: 409,
    VersionRejected: 409,
    VersionInUse: 409,
    InvalidVersion: 409,
    ModelMismatch: 409,
    UnknownRoute: 404,
    MethodNotAllowed: 405,
    StoreFull: 413,
    PayloadTooLarge: 413,
    TooManyFiles: 413,
    ImageTooLarge: 413,
    UnsupportedContent: 415,
    UnsupportedImage: 415,
    DataError: 422,  # a picture that is damaged, or an archive that is
    Overloaded: 429,
    TooManyRequests: 429,
    TooManyAttempts: 429,
    NoModel: 503,
    NotStored: 507,
}


def without_path(error: BaseException | None) -> str:
    """Return what an error says, but no path of this server: what is wrong here is public."""
    return getattr(error, "strerror", None) or str(error)


def describe_error(error: Exception, request_id: str) -> tuple[int, dict[str, str]]:
    """Return the HTTP status and the public description of any error.

    Anything unknown is logged with its traceback and described in a few words.

    Args:
        error: what was raised.
        request_id: names the request in the log and in the answer.
    """
    error = of_the_disk(error) or error
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    if status < 500 or isinstance(error, ServingError | ModelError):
        return status, _description(error, str(error), request_id)
    _log.error("request %s failed", request_id, exc_info=error)
    message = f"Something went wrong here; it is logged as request {request_id}."
    return status, {"message": message, "type": "InternalError", "request_id": request_id}


def in_words(error: Exception) -> str:
    """Return what an error says, where the disk is to blame in words that help."""
    return str(of_the_disk(error) or error)


def of_the_disk(error: Exception) -> NotStored | None:
    """Return what an error of the system or the database says about the disk, None for nothing."""
    problem = ""
    if isinstance(error, OSError) and error.errno in _DISK_PROBLEMS:
        problem = os.strerror(error.errno)
    elif isinstance(error, OperationalError):
        problem = next((words for words in _SQLITE_PROBLEMS if words in str(error.orig)), "")
    if not problem or isinstance(error, ServingError):
        return None
    _log.error("the disk does not take what is written: %s", error)
    return NotStored(problem)


def http_error(error: Exception, request_id: str) -> tuple[int, dict[str, Any], Mapping[str, str]]:
    """Return status, JSON body and headers of the HTTP answer to any error."""
    status, description = describe_error(error, request_id)
    headers = {}
    if isinstance(error, Overloaded | TooManyRequests | TooManyAttempts):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, TokenRequired | WrongToken):
        headers["WWW-Authenticate"] = 'Bearer realm="operator"'
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allowed
    return status, {"error": description}, headers


def gradio_error(error: Exception, request_id: str) -> "gr.Error":
    """Return any error as one that the page shows; escaped, because Gradio renders HTML."""
    # The command line describes errors too, and shall not wait 2 s for Gradio's import.
    import gradio as gr

    _, description = describe_error(error, request_id)
    return gr.Error(html.escape(description["message"], quote=False), print_exception=False)


def _description(error: Exception, message: str, request_id: str) -> dict[str, str]:
    return {"message": message, "type": type(error).__name__, "request_id": request_id}
