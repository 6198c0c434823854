"""The loop: submission, recognition, rounds of fine-tuning from teaching to promotion, and the sweep that moves them."""
