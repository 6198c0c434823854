"""Verification of text layers: a sample of what a layer says is held against what its pages show.

sampling     the sample: pieces of lines and words, spread over pages and fonts
comparison   what the layer says against what a reader of its script reads
drawn        words as a typeface of the script draws them: for scripts that nobody reads yet
shapes       the page's letters against drawn ones
exchanges    two letters of which a layer says each of the other
silence      ink that the layer tells as nothing
findings     what was found of each font, and when it is enough
"""
