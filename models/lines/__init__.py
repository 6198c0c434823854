"""Text lines: where they are on a page, in which order they are read, and how one is cut out."""
