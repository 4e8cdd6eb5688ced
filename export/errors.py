"""Errors of the export package.

ExportError
├── ConversionError  (RuntimeError)  Keras -> ONNX failed, or the result is no valid model
└── ParityError      (ValueError)    Keras and ONNX Runtime answer differently
"""


class ExportError(Exception):
    """Base of every error that this package raises on purpose."""


class ConversionError(ExportError, RuntimeError):
    """The model cannot be converted, or the result is not a valid ONNX model."""


class ParityError(ExportError, ValueError):
    """Keras and ONNX Runtime give different probabilities for the same images."""
