"""Labels, append-only: their blobs, their rows, reviews by people, and which label speaks for a page.

storage      labels as zstd frames in one blob a shard
recording    the labels of a shard written under its lease
review       a person's verdict on a page's label
standing     the label that speaks for a page, and what the page's row shows of it
"""
