"""Errors of the models package.

ModelError
├── VersionNotFound   (LookupError)  no version of that name, or none at all
│   └── NothingBefore                no version was chosen before the present one
├── InvalidVersion    (ValueError)   a version's files are damaged or do not match its manifest
├── VersionRejected   (RuntimeError) the gate rejected it, and nobody overrode that on purpose
├── InvalidJob        (ValueError)   a file of a retrain job is missing or damaged
└── VersionInUse      (RuntimeError) a version that is needed cannot be deleted or changed
"""

from collections.abc import Sequence


class ModelError(Exception):
    """Base of every error that this package raises on purpose."""


class VersionNotFound(ModelError, LookupError):
    """No published version has that name."""

    def __init__(self, version: str, available: Sequence[str]) -> None:
        known = f"available: {', '.join(available)}" if available else "none is published"
        super().__init__(f"No model version {version!r:.60}; {known}.")
        self.version = version


class NothingBefore(VersionNotFound):
    """No version was chosen before the present one, so there is nothing to return to."""

    def __init__(self, version: str, available: Sequence[str]) -> None:
        ModelError.__init__(
            self,
            f"No version was live before {version}. Choose one instead; available: "
            f"{', '.join(available)}.",
        )
        self.version = version


class InvalidVersion(ModelError, ValueError):
    """A version's files are damaged or do not match its manifest."""


class VersionRejected(ModelError, RuntimeError):
    """The gate rejected the version, and nobody overrode that on purpose."""

    def __init__(self, version: str, reasons: Sequence[str]) -> None:
        super().__init__(
            f"{version} was rejected when it was compared with the version before it: "
            f"{' '.join(reasons)} To serve it all the same, override that and say why."
        )
        self.version = version


class InvalidJob(ModelError, ValueError):
    """A file of a retrain job is missing or damaged."""


class VersionInUse(ModelError, RuntimeError):
    """A version that is active, shipped or at work cannot be deleted."""
