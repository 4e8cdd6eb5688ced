"""Learn: from a snapshot of the store to a published model version.

Knows Keras; never imports the page or the serving code.
"""
