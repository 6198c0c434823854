"""Report on a tokenizer and a language's text, made before a round trains on it.

    report(tokenizer, texts, others) -> TokenReport
    of_symbols(charset, texts, others)      the same of a line recogniser, whose tokens are its output symbols
    tokenizer_in(directory)                 the tokenizer of a folder with a page reader's files

A script that the tokenizer knows only as bytes costs three tokens a character: pages hit the token limit,
and the model learns to spell before it learns to read. What users need to see of it (DeepSeek-OCR#43):
tokens a character and a syllable, the share of bytes and unknowns, the normal form, stacks cut in two.

A stack is what is written as one: a letter with all that stands below and above it (an extended grapheme
cluster, Unicode Annex 29). A syllable ends at a tsheg in Tibetan, elsewhere at white space.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import regex
from transformers import PreTrainedTokenizerFast

from flywheel.errors import SetupError
from flywheel.figures import TokenReport

SHOWN = 12  # stacks listed of each kind
STACK = regex.compile(r"\X")
SYLLABLE = re.compile(r"[^\s\u0f0b\u0f0c\u0f0d\u0f0e]+")
BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")  # how SentencePiece writes a byte it falls back to
Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


def tokenizer_in(directory: Path) -> Any:
    """From tokenizer.json alone: what tokenizer_config.json calls it may be another class in this transformers.

    Raises SetupError where there is none.
    """
    path = directory / "tokenizer.json"
    if not path.is_file():
        raise SetupError(f"no tokenizer.json in {directory}")
    return PreTrainedTokenizerFast(tokenizer_file=str(path), clean_up_tokenization_spaces=False)


def report(tokenizer: Any, texts: Sequence[str], others: Iterable[str] = ()) -> TokenReport:
    """Counts of a fast tokenizer of transformers over `texts`. `others` are texts it is to read later."""
    backend = tokenizer.backend_tokenizer
    tokens = byte_pieces = unknown = changed = 0
    split = Counter[str]()
    is_piece = _pieces(tokenizer)
    for text in texts:
        encoded = backend.encode(text, add_special_tokens=False)
        tokens += len(encoded.ids)
        byte_pieces += sum(map(is_piece, encoded.ids))
        unknown += (
            sum(i == tokenizer.unk_token_id for i in encoded.ids) if tokenizer.unk_token_id is not None else 0
        )
        changed += tokenizer.decode(encoded.ids, clean_up_tokenization_spaces=False) != text
        split.update(_split(text, encoded.offsets))
    normaliser = type(backend.normalizer).__name__ if backend.normalizer is not None else "none"
    return _report(texts, others, tokens, byte_pieces, unknown, normaliser, changed, split)


def of_symbols(charset: Sequence[str], texts: Sequence[str], others: Iterable[str] = ()) -> TokenReport:
    """The same of a line recogniser's output symbols, each a token; a code point without one is unknown."""
    known = set("".join(charset))
    normal = [unicodedata.normalize("NFC", text) for text in texts]
    unknown = sum(not c.isspace() and c not in known for text in normal for c in text)
    changed = sum(a != b for a, b in zip(texts, normal, strict=True))
    tokens = sum(map(len, normal))
    split = Counter(s for text in normal for s in _stacks(text) if len(s) > 1)
    return _report(texts, others, tokens, 0, unknown, "NFC", changed, split)


def _report(
    texts: Sequence[str],
    others: Iterable[str],
    tokens: int,
    byte_pieces: int,
    unknown: int,
    normaliser: str,
    changed: int,
    split: Counter[str],
) -> TokenReport:
    seen = Counter(stack for text in texts for stack in _stacks(text))
    unseen = Counter(stack for text in others for stack in _stacks(text) if stack not in seen)
    return TokenReport(
        texts=len(texts),
        characters=sum(not c.isspace() for text in texts for c in text),
        syllables=sum(len(SYLLABLE.findall(text)) for text in texts),
        tokens=tokens,
        byte_share=byte_pieces / tokens if tokens else 0.0,
        unknown_share=unknown / tokens if tokens else 0.0,
        normaliser=normaliser,
        changed_share=changed / len(texts) if texts else 0.0,
        normal_form=_form(texts),
        stacks=len(seen),
        split_stacks=len(split),
        split_examples=tuple(split.most_common(SHOWN)),
        unseen_stacks=len(unseen),
        unseen_examples=tuple(unseen.most_common(SHOWN)),
    )


def _pieces(tokenizer: Any) -> Any:
    """A test for tokens that are part of a character only; answers are cached, for a few tokens make most of a
    text."""
    known: dict[int, bool] = {}

    def is_piece(token: int) -> bool:
        if token not in known:
            written = tokenizer.convert_ids_to_tokens(token) or ""
            known[token] = bool(BYTE.fullmatch(written)) or "\ufffd" in tokenizer.decode([token])
        return known[token]

    return is_piece


def _split(text: str, offsets: Sequence[tuple[int, int]]) -> Iterable[str]:
    """The stacks of a text that more than one token spells. Offsets are of characters; tokens that are
    parts of one character all claim it."""
    begins = Counter(start for start, _ in offsets)
    for match in STACK.finditer(text):
        stack = match.group()
        if not stack.isspace() and sum(begins[i] for i in range(match.start(), match.end())) > 1:
            yield stack


def _stacks(text: str) -> list[str]:
    return [stack for stack in STACK.findall(text) if not stack.isspace()]


def _form(texts: Sequence[str]) -> str:
    """The first normal form that all texts are in."""
    forms: tuple[Form, ...] = get_args(Form)
    return next((form for form in forms if all(unicodedata.is_normalized(form, text) for text in texts)), "mixed")
