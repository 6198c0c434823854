"""Layout detectors: regions of page images (text, titles, tables, pictures), behind one protocol.

    protocol      LayoutRegion, LayoutDetector: the contract of every detector
    categories    their labels and ours, one table
    pp_doclayout  PP-DocLayout V2, V3 and V4, when their weights are at hand
    decode        those networks' outputs as boxes, scores, reading order
    lines         without weights: the line detector's lines, grouped
    cleaning      duplicates and nested boxes out, regions in reading order

There is a fourth way, behind the same idea and the same categories, for born-digital pages: MuPDF's own
model (flywheel/pdf/layout.py). It looks at the text layer, not at an image, and runs in the sandbox's
child, because only that process may load MuPDF; so it is no LayoutDetector, and what it finds arrives as
the regions of a coarse label.
"""
