"""Shared by all training: jobs, recipes, frozen manifests, schedule, degradation, token reports."""
