"""Generation in slots: the text of a plain loop, whoever shares the batch and however little memory there is."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Qwen2Config, Qwen2Model
from transformers.models.deepseek_ocr2.configuration_deepseek_ocr2 import DeepseekOcr2TextConfig
from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import DeepseekOcr2TextModel

from models.generation import Generated, Generator, NgramGuard, Prompt
from models.generation.generator import DecodingOptions

WIDTH, VOCABULARY = 32, 61
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,  # wide enough that a text goes on changing
}
END = frozenset(range(3))
TIGHT = NgramGuard(size=3, window=12, exempt=frozenset({7, 30}))


def experts() -> DeepseekOcr2TextModel:
    """DeepSeek-OCR's decoder: a dense layer, then experts."""
    torch.manual_seed(0)
    config = DeepseekOcr2TextConfig(
        **SIZES,
        moe_intermediate_size=24,
        n_routed_experts=8,
        num_experts_per_tok=2,
        n_shared_experts=1,
        mlp_layer_types=["dense", "sparse", "sparse"],
    )
    return DeepseekOcr2TextModel(config).eval()


def dense(**changes: Any) -> Qwen2Model:
    """GOT-OCR2.0's decoder: two query heads to a key."""
    torch.manual_seed(0)
    return Qwen2Model(Qwen2Config(**SIZES, num_key_value_heads=2, **changes)).eval()


def head(sharpness: float = 1.0) -> nn.Linear:
    torch.manual_seed(1)
    projection = nn.Linear(WIDTH, VOCABULARY, bias=False)
    with torch.no_grad():
        projection.weight *= sharpness
    return projection


def prompts(count: int, *, limit: int = 24, longest: int = 30, seed: int = 0) -> list[Prompt]:
    source = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest, (count,), generator=source).tolist()
    return [Prompt(torch.randn(length, WIDTH, generator=source), limit) for length in lengths]


def generator(decoder: Any, **settings: Any) -> Generator:
    settings = {"end": END, "guard": None, "slots": 8} | settings
    return Generator(decoder, decoder.embed_tokens, settings.pop("head", None) or head(), **settings)


def forbidden(tokens: Sequence[int], guard: NgramGuard) -> set[int]:
    """The published rule, told again: n-grams that lie in the last `window` tokens are not completed twice."""
    recent = list(tokens)[-guard.window :]
    begun = list(tokens)[len(tokens) - guard.size + 1 :] if len(tokens) >= guard.size else None
    found = {
        recent[start + guard.size - 1]
        for start in range(len(recent) - guard.size + 1)
        if recent[start : start + guard.size - 1] == begun
    }
    return found - guard.exempt


@torch.inference_mode()
def plain(decoder: Any, prompt: Prompt, projection: nn.Linear, guard: NgramGuard | None = None) -> Generated:
    """One prompt by itself, all of it computed anew for each token: no cache, no mask, no batch."""
    embeds, tokens, scores = prompt.embeds[None], list[int](), list[float]()
    while len(tokens) < prompt.limit:
        logits = projection(decoder(inputs_embeds=embeds, use_cache=False).last_hidden_state[0, -1])
        allowed = logits.clone()
        allowed[list(forbidden(tokens, guard) if guard else ())] = -torch.inf
        token = int(allowed.argmax())
        if token in END:
            return Generated(tokens, scores, truncated=False)
        tokens.append(token)
        scores.append(float(logits.log_softmax(-1)[token]))
        embeds = torch.cat([embeds, decoder.embed_tokens(torch.tensor([[token]]))], dim=1)
    return Generated(tokens, scores, truncated=True)


def assert_same(made: Sequence[Generated], expected: Sequence[Generated], within: float = 1e-5) -> None:
    assert [(one.tokens, one.truncated) for one in made] == [(one.tokens, one.truncated) for one in expected]
    for one, other in zip(made, expected, strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=within)


class CountingDecoder(nn.Module):
    """A decoder that notes the size of each batch and refuses those of more than `most` rows as a device does."""

    def __init__(self, decoder: Any, most: int = 1000) -> None:
        super().__init__()
        self.decoder = decoder
        self.config = decoder.config
        self.most = most
        self.batches: list[int] = []

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        embedded: Tensor = self.decoder.embed_tokens(tokens)
        return embedded

    def forward(self, inputs_embeds: Tensor, **rest: Any) -> Any:
        if len(inputs_embeds) > self.most:
            raise torch.OutOfMemoryError(f"{len(inputs_embeds)} rows")
        self.batches.append(len(inputs_embeds))
        return self.decoder(inputs_embeds=inputs_embeds, **rest)


@pytest.mark.parametrize("exempt", [frozenset(), frozenset({0, 2})])
@pytest.mark.parametrize(("size", "window"), [(2, 2), (2, 9), (3, 8), (4, 20)])
def test_the_guard_forbids_what_the_published_rule_forbids(size: int, window: int, exempt: frozenset[int]) -> None:
    guard, rows, fired = NgramGuard(size, window, exempt), 16, 0
    draw = random.Random(size * window)
    texts: list[list[int]] = [[] for _ in range(rows)]
    history = guard.history(rows, torch.device("cpu"))
    for _ in range(50):
        logits = torch.zeros(rows, 5)
        guard.forbid(logits, history)
        for text, row in zip(texts, logits.tolist(), strict=True):
            expected = forbidden(text, guard)
            assert {token for token in range(5) if row[token] == -torch.inf} == expected
            assert all(row[token] == 0 for token in set(range(5)) - expected)
            fired += bool(expected)
            text.append(draw.choice((0, 0, 0, 1, 1, 2, 3)))
        history = guard.extended(history, torch.tensor([text[-1] for text in texts]))
    assert fired > 50


@pytest.mark.parametrize(("size", "window"), [(1, 90), (0, 90), (30, 29)])
def test_a_guard_that_could_never_work_is_refused(size: int, window: int) -> None:
    with pytest.raises(ValueError, match="window"):
        NgramGuard(size, window)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("make", [experts, dense])
def test_a_batch_says_what_a_loop_without_a_cache_says(make: Any, attention: str) -> None:
    decoder, pages = make(), prompts(12)
    expected = [plain(decoder, page, head()) for page in pages]
    assert {one.truncated for one in expected} == {True, False}
    decoder.set_attn_implementation(attention)
    assert_same(generator(decoder, options=DecodingOptions(1, 16, 1, graphs=False)).generate(pages), expected)


@pytest.mark.parametrize("sharpness", [1.0, 4.0])
@pytest.mark.parametrize("make", [experts, dense])
def test_the_text_of_a_page_is_the_same_alone_and_with_others_in_any_order(make: Any, sharpness: float) -> None:
    decoder, pages = make(), prompts(16, seed=3)
    reader = generator(decoder, guard=TIGHT, head=head(sharpness))
    alone = [reader.generate([page])[0] for page in pages]
    shuffled = random.Random(1).sample(range(len(pages)), len(pages))
    for order in (range(len(pages)), range(8), reversed(range(8)), shuffled):
        chosen = list(order)
        made = reader.generate([pages[i] for i in chosen])
        assert_same(made, [alone[i] for i in chosen], within=sharpness * 1e-5)
    assert len({tuple(one.tokens) for one in alone}) > 8


@pytest.mark.parametrize("make", [experts, dense])
def test_with_steady_shapes_even_the_last_bit_is_the_same(make: Any) -> None:
    decoder, pages = make(), prompts(12, longest=90)
    decoder.config._experts_implementation = (
        "batched_mm"  # the others multiply by expert, as many rows as chose it
    )
    reader = generator(decoder, steady=True, options=DecodingOptions(1, 64, 2, graphs=False))
    together = reader.generate(pages)
    assert [reader.generate([page])[0] for page in pages] == together
    assert reader.generate(pages[::-1])[::-1] == together


@pytest.mark.parametrize(
    "options", [DecodingOptions(5, 16, 3, graphs=False), DecodingOptions(2, 256, 8, graphs=False)]
)
@pytest.mark.parametrize("steady", [False, True])
def test_strides_buckets_and_groups_change_no_text(options: DecodingOptions, steady: bool) -> None:
    decoder, pages = experts(), prompts(14, longest=5)
    expected = generator(decoder, guard=TIGHT, slots=1).generate(pages)
    assert_same(generator(decoder, guard=TIGHT, options=options, steady=steady).generate(pages), expected)


@pytest.mark.parametrize("make", [experts, dense])
def test_a_guarded_batch_says_what_a_guarded_loop_says(make: Any) -> None:
    decoder, pages = make(), prompts(10, limit=40)
    expected = [plain(decoder, page, head(), TIGHT) for page in pages]
    made = generator(decoder, guard=TIGHT, slots=4).generate(pages)
    assert_same(made, expected)
    assert [one.tokens for one in made] != [one.tokens for one in generator(decoder).generate(pages)]


def test_a_prompt_is_drawn_when_a_slot_is_free_and_not_before() -> None:
    decoder = CountingDecoder(dense())
    passes: list[int] = []

    def pages() -> Iterator[Prompt]:
        for page in prompts(6, limit=5):
            passes.append(len(decoder.batches))
            yield page

    generator(decoder, end=frozenset(), slots=2).generate(pages())
    assert passes == [0, 0, 6, 6, 12, 12]  # two enter, four steps, and the next two


def test_finished_rows_leave_and_cost_nothing_more() -> None:
    decoder = CountingDecoder(dense())
    pages = [Prompt(page.embeds, limit) for page, limit in zip(prompts(4), (2, 9, 4, 6), strict=True)]
    made = generator(decoder, end=frozenset(), options=DecodingOptions(1, 64, 4, graphs=False)).generate(pages)
    assert decoder.batches == [1, 1, 1, 1, 4, 3, 3, 2, 2, 1, 1, 1]
    assert [len(one.tokens) for one in made] == [2, 9, 4, 6]


def test_where_memory_lacks_the_slots_are_halved_and_nothing_is_lost() -> None:
    pages = prompts(14)
    expected = generator(dense()).generate(pages)
    decoder = CountingDecoder(dense(), most=3)
    drawn: list[int] = []
    reader = generator(decoder, slots=8)
    made = reader.generate(drawn.append(i) or page for i, page in enumerate(pages))
    assert_same(made, expected)
    assert drawn == list(range(14))
    assert reader.slots == 2
    assert max(decoder.batches) == 2
    assert_same(reader.generate(pages[:3]), expected[:3])


def test_memory_that_runs_out_midway_keeps_what_was_finished() -> None:
    pages = [Prompt(page.embeds, limit) for page, limit in zip(prompts(4), (2, 20, 20, 20), strict=True)]
    decoder = CountingDecoder(dense())
    reader = generator(decoder, end=frozenset(), slots=4)
    expected = reader.generate(pages)
    decoder.batches.clear()

    def scarce(*_: Any) -> None:
        if decoder.batches.count(3) == 5:  # the short one is done, the others are five steps on
            decoder.most = 2

    decoder.register_forward_pre_hook(scarce)
    assert_same(reader.generate(pages), expected)
    assert decoder.batches.count(4) == 1
    assert reader.slots == 2


def test_a_device_that_cannot_hold_one_sequence_is_an_error() -> None:
    decoder, pages = CountingDecoder(dense(), most=0), prompts(3)
    reader = generator(decoder)
    with pytest.raises(torch.OutOfMemoryError):
        reader.generate(pages)
    decoder.most = 1
    assert_same(reader.generate(pages), generator(dense()).generate(pages))


def test_what_the_source_of_prompts_raises_is_not_taken_for_the_decoders() -> None:
    def pages() -> Iterator[Prompt]:
        yield prompts(1)[0]
        raise torch.OutOfMemoryError("the images were too large")

    reader = generator(dense())
    with pytest.raises(torch.OutOfMemoryError, match="images"):
        reader.generate(pages())
    assert reader.slots == 8


def test_a_sequence_of_nan_spoils_nothing_for_the_next_in_its_slot() -> None:
    decoder, [long, short] = dense(), prompts(2)
    broken = Prompt(torch.full((40, WIDTH), torch.nan), 10)
    reader = generator(decoder, slots=1)
    [_, after, again] = reader.generate([broken, short, long])
    assert_same([after, again], [plain(decoder, page, head()) for page in (short, long)])


def test_the_limit_and_the_end_are_told_apart() -> None:
    decoder, [page] = dense(), prompts(1, limit=6)
    [whole] = generator(decoder, end=frozenset()).generate([page])
    first = whole.tokens.index(whole.tokens[5])
    assert whole.truncated
    assert first > 0
    [ended] = generator(decoder, end=frozenset({whole.tokens[5]})).generate([page])
    assert ended == Generated(whole.tokens[:first], whole.log_probabilities[:first], truncated=False)
    [one] = generator(decoder, end=frozenset()).generate([Prompt(page.embeds, 1)])
    assert_same([one], [Generated(whole.tokens[:1], whole.log_probabilities[:1], truncated=True)])
    [none] = generator(decoder, end=frozenset({whole.tokens[0]})).generate([page])
    assert none == Generated([], [], truncated=False)


def test_a_generator_is_used_again_after_its_memory_was_given_back() -> None:
    reader, pages = generator(experts()), prompts(5)
    first = reader.generate(pages)
    assert_same(reader.generate(pages), first)
    reader.release()
    assert_same(reader.generate(pages), first)
    assert reader.generate([]) == []


def test_what_cannot_be_continued_in_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="windowed"):
        generator(dense(use_sliding_window=True, sliding_window=4, max_window_layers=1))
    with pytest.raises(ValueError, match="slots"):
        generator(dense(), slots=0)
    for embeds, limit in ((torch.zeros(0, WIDTH), 3), (torch.zeros(3, WIDTH), 0), (torch.zeros(1, 3, WIDTH), 3)):
        with pytest.raises(ValueError, match="limit"):
            Prompt(embeds, limit)
