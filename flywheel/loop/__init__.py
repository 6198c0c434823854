"""The loop: submission, recognition, rounds from teaching to promotion, and the sweep that moves them all."""
