"""Page readers: images of pages in, labels out."""
