"""What an image and a labelled set are: decoding, the store, snapshots and the public sources.

This package owns the format of the dataset store. It knows nothing of models or of serving.
"""
