"""Text: cleaning, scripts, language tags, orthography."""
