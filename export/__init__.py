"""From a trained Keras model to an ONNX file, and the proof that both answer alike."""
