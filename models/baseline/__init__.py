"""The shipped model: ``model.onnx`` and ``manifest.json``, read-only."""
