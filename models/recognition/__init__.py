"""Recognition: a line's image to its text, with a confidence for the line and for each character."""
