"""Machinery of a worker process: the readers, store and PDF child it keeps warm, and its device."""
