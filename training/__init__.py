"""Learn: from a snapshot of the store to a published model version.

Knows Keras; never imports the page or the serving code.
"""

import os

# TensorFlow reads this once, while it is being imported, and else opens every run with a page of
# remarks on the processor. Set it to 0 to see them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
