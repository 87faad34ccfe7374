"""unquiet hears when AI agents in production quietly start to behave differently."""

import os

# Our matrix products are small: a second thread of the linear algebra library only waits for the first.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
