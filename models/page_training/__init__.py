"""Fine-tuning of page readers: samples, networks in training, the Trainer, several processes, comparison."""
