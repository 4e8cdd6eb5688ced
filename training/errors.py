"""Errors of the training package.

TrainingError
├── NotEnoughData    (ValueError)   a class or a split has too few images to learn or to judge
├── UnknownNetwork   (LookupError)  no network of that name in the table
├── NoBackbone       (ValueError)   a network has no features that could be rehearsed
├── QuantizedAlready (ValueError)   a version is in eight bits already
├── UnlikeNetworks   (ValueError)   versions of which there is no mean
├── RehearsesAlready (ValueError)   a version has its features to rehearse already
├── InvalidWeights   (ValueError)   a file of pretrained weights is not the expected one
├── InvalidCrossValidation (ValueError)  a file holds no result of a cross-validation, or another's
└── MissingExtra     (ImportError)  an extra of the project is not installed
"""

INTERRUPTED = 130  # the exit status after Ctrl-C, as shells have it


class TrainingError(Exception):
    """Base of every error that this package raises on purpose."""


class NotEnoughData(TrainingError, ValueError):
    """A class or a split has too few images to learn from or to judge by."""


class UnknownNetwork(TrainingError, LookupError):
    """No network has that name."""

    def __init__(self, name: str, available: list[str]) -> None:
        super().__init__(f"No network {name!r}; available: {', '.join(available)}.")
        self.name = name


class NoBackbone(TrainingError, ValueError):
    """A network has no layer of features, so no quick retraining can start from it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} has no features that a quick retraining could start from. Retrain thoroughly, "
            "or make another version active first."
        )


class QuantizedAlready(TrainingError, ValueError):
    """A version is in eight bits already."""

    def __init__(self, version: str) -> None:
        super().__init__(f"{version} is in eight bits already. Name a version in floats.")


class UnlikeNetworks(TrainingError, ValueError):
    """Versions are not of one network with the same outputs, so they have no mean."""


class RehearsesAlready(TrainingError, ValueError):
    """A version has its features to rehearse already."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"{version} has its features to rehearse already, of every image that it knows. Name a "
            "version without (--version)."
        )


class InvalidWeights(TrainingError, ValueError):
    """A file of pretrained weights is not the expected one, or does not fit the network."""


class InvalidCrossValidation(TrainingError, ValueError):
    """A file holds no result of a cross-validation, or one of other images or settings."""


class MissingExtra(TrainingError, ImportError):
    """Training needs packages that serving does not."""

    def __init__(self, package: str, extra: str = "train") -> None:
        super().__init__(
            f"This needs {package!r}, which is not installed. Install the extra {extra!r}: "
            f"pip install -e '.[{extra}]'"
        )
