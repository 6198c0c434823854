"""PDFs and images, read in a sandbox: MuPDF is only ever imported in a killable child process.

sandbox     the parent's view: inspect, facts, text, layout, characters, render
process     one child: spawned, spoken to under a deadline, killed
frames      the wire between the two
structure   a page's answer -> lines, ink evidence, facts
arrangement lines -> regions in reading order; plain: pages whose regions need no model
results     what comes out
child, documents, pages, layout      run inside the child, and nowhere else
"""

from flywheel.pdf.arrangement import arranged
from flywheel.pdf.results import (
    DocumentFacts,
    InkEvidence,
    Limits,
    PageFailure,
    PageImage,
    PageLayout,
    PageText,
)
from flywheel.pdf.sandbox import Sandbox

__all__ = [
    "DocumentFacts",
    "InkEvidence",
    "Limits",
    "PageFailure",
    "PageImage",
    "PageLayout",
    "PageText",
    "Sandbox",
    "arranged",
]
