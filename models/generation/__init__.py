"""Generation: greedy, batched and repeatable continuation of embedded prompts by any transformers decoder.

    Generator(decoder, embed_tokens, lm_head, end=..., guard=NgramGuard(), slots=32).generate(prompts)

generator.py says what a page's text depends on; slots.py holds the rows on the device, cache.py their keys
and values, guard.py the n-gram guard.
"""

from models.generation.generator import Generated, Generator, Prompt
from models.generation.guard import NgramGuard

__all__ = ["Generated", "Generator", "NgramGuard", "Prompt"]
