"""What a model version is: its manifest, its files, and the registry that lists and activates.

This package owns the format of a published version. It knows neither training nor serving.
"""
