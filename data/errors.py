"""Errors of the data package.

DataError
├── InvalidImage      (ValueError)   the bytes are not a picture that we accept
│   ├── UnsupportedImage             they are of another format, or no picture at all
│   └── ImageTooLarge                more bytes or pixels than the limits allow
├── InvalidLabel      (ValueError)   a class name breaks the rules
├── InvalidArchive    (ValueError)   a zip or folder cannot be imported as a whole
├── InvalidSnapshot   (ValueError)   a snapshot file is damaged or of another format
├── DamagedDatabase   (RuntimeError) a database file is damaged beyond what can be mended here
├── InvalidBackup     (ValueError)   a store cannot be copied, or made of its copy
├── QueueFull         (RuntimeError) as many photos wait for review as may
├── UnknownSource     (LookupError)  no public source of that name
└── DownloadFailed    (OSError)      a public source could not be fetched
"""

from pathlib import Path


class DataError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidImage(DataError, ValueError):
    """The bytes are not an image within the accepted formats and limits."""


class UnsupportedImage(InvalidImage):
    """The bytes are of another format, or no picture at all."""


class ImageTooLarge(InvalidImage):
    """The image has more bytes or pixels than the limits allow."""


class InvalidLabel(DataError, ValueError):
    """A class name is empty, too long or holds characters that are not allowed."""


class InvalidArchive(DataError, ValueError):
    """An archive or folder cannot be imported as a whole."""


class InvalidSnapshot(DataError, ValueError):
    """A snapshot file is damaged or of another format."""


class DamagedDatabase(DataError, RuntimeError):
    """A database file is damaged beyond what can be mended here."""

    def __init__(self, path: Path, damage: str) -> None:
        super().__init__(
            f"{path} is still damaged: {damage}. Put back a copy of it; without one, move it away "
            "and start again: the photos' index is then made anew from its journal, any other "
            "database begins empty."
        )


class InvalidBackup(DataError, ValueError):
    """A store cannot be copied, or no store can be made of its copy."""


class QueueFull(DataError, RuntimeError):
    """As many photos wait for review as may."""

    def __init__(self, waiting: int) -> None:
        super().__init__(
            f"{waiting:,} photos wait for review, which is as many as may. They are looked through "
            "on the Upload tab; try again afterwards."
        )


class UnknownSource(DataError, LookupError):
    """No public source has that name."""

    def __init__(self, name: str, available: list[str]) -> None:
        super().__init__(f"No public source {name!r}; available: {', '.join(available)}.")
        self.name = name


class DownloadFailed(DataError, OSError):
    """A public source could not be fetched; what arrived is kept for the next try."""
