"""torchrun --nproc-per-node N -m models.page_training JOB.json: one of N processes of a fine-tuning."""

import sys
from pathlib import Path

from models.page_training.launch import main

main(Path(sys.argv[1]))
