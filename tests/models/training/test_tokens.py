"""The report on a tokenizer: what a script costs, what is cut, what was never seen."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from flywheel.encoding import to_json
from models.training.tokens import of_symbols, report

TIBETAN = "བཀྲ་ཤིས་བདེ་ལེགས།"


def byte_level() -> PreTrainedTokenizerFast:
    """Bytes and no merges: what a tokenizer is for a script it has never met."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def whole(symbols: list[str], normalizer: object = None) -> PreTrainedTokenizerFast:
    """One token a symbol that is listed, <unk> for the rest."""
    made = Tokenizer(
        models.BPE(vocab={s: i for i, s in enumerate(["<unk>", *symbols])}, merges=[], unk_token="<unk>")
    )
    made.normalizer = normalizer
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


def test_a_script_known_as_bytes_costs_three_tokens_a_character() -> None:
    found = report(byte_level(), [TIBETAN])
    assert found.tokens == len(TIBETAN.encode())
    assert found.tokens_per_character == pytest.approx(3.0)
    assert found.byte_share == 1.0
    assert (found.syllables, found.changed_share, found.normaliser) == (4, 0.0, "none")
    assert found.tokens_per_syllable == pytest.approx(len(TIBETAN.encode()) / 4)
    assert found.split_stacks == found.stacks  # each letter is cut


def test_latin_letters_are_tokens_of_their_own_in_bytes() -> None:
    found = report(byte_level(), ["The loop turns."])
    assert (found.tokens_per_character, found.byte_share, found.split_stacks) == (15 / 13, 0.0, 0)


def test_symbols_without_a_token_are_unknown_and_stacks_cut_in_two_are_named() -> None:
    found = report(whole([c for c in sorted(set(TIBETAN)) if c != "ཤ"]), [TIBETAN])
    assert found.unknown_share == pytest.approx(1 / len(TIBETAN))
    assert dict(found.split_examples)["ཀྲ"] == 1
    assert "བ" not in dict(found.split_examples)
    assert found.changed_share == 1.0


def test_stacks_of_pages_to_be_read_that_no_text_teaches_are_named() -> None:
    found = report(byte_level(), [TIBETAN], ["སྒྲུབ་ སྒྲུབ་ བདེ"])
    assert found.unseen_examples[0] == ("སྒྲུ", 2)
    assert found.unseen_stacks == 1


def test_the_normal_form_of_the_texts_and_of_the_tokenizer_are_told() -> None:
    assert report(byte_level(), ["é"]).normal_form == "NFC"
    assert report(byte_level(), ["e\u0301"]).normal_form == "NFD"
    assert report(byte_level(), ["é", "e\u0301"]).normal_form == "mixed"
    found = report(whole(["é"], normalizers.NFC()), ["e\u0301"])
    assert (found.normaliser, found.changed_share) == ("NFC", 1.0)


def test_a_line_recogniser_has_a_symbol_a_code_point() -> None:
    found = of_symbols(tuple("བཀྲ་ིསདེལ།"), [TIBETAN])
    assert found.tokens == len(TIBETAN)
    assert found.unknown_share == pytest.approx(2 / len(TIBETAN))  # ཤ, ག
    assert to_json(found)["tokens_per_character"] == 1.0


def test_no_text_is_no_division_by_zero() -> None:
    found = report(byte_level(), [])
    assert (found.tokens_per_character, found.tokens_per_syllable, found.byte_share) == (0.0, 0.0, 0.0)
