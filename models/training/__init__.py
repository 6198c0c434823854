"""What every training shares: the job, recipes, schedule, resumption, degradation."""
