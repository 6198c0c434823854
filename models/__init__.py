"""Everything that looks at pixels or learns: no database, no broker, no HTTP server."""

import os

# A thread that waits for its fellows must sleep, not spin. Measured 2026-11-21, a training step with two
# threads on two cores: 0.58 s spinning and 0.20 s sleeping when others wanted the cores (load 5), 0.11 s
# and 0.12 s when they did not. libgomp reads this once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
