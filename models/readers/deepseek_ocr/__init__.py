"""DeepSeek-OCR: a page's image to grounded markdown, in the published weights' layout."""
