"""Everything that looks at pixels or learns: no database, no broker, no HTTP server."""

import os

# A thread that waits for its fellows must sleep, not spin: on two cores with a database and a browser
# beside it, spinning OpenMP threads made a training step five times as long (measured 2026-11-21:
# 0.58 s against 0.11-0.20 s). libgomp reads this once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
