"""PDFs and images, read in a sandbox: MuPDF is only ever imported in a killable child process.

sandbox     the parent's side: inspect, facts, text, layout, characters, render
process     one child: started, asked under a deadline, killed; limits: what it may use
messages    between the two
structure   a page's answer -> lines, ink evidence, facts
arrangement lines -> regions in reading order; plain: pages whose regions need no model
results     facts, text, images and failures
child, documents, pages, glyphs, suspicion, layout, refusal      run inside the child, and nowhere else
"""

from flywheel.pdf.arrangement import arranged
from flywheel.pdf.limits import Limits
from flywheel.pdf.results import (
    InkEvidence,
    PageFailure,
    PageImage,
    PageLayout,
    PageText,
)
from flywheel.pdf.sandbox import Sandbox

__all__ = [
    "InkEvidence",
    "Limits",
    "PageFailure",
    "PageImage",
    "PageLayout",
    "PageText",
    "Sandbox",
    "arranged",
]
