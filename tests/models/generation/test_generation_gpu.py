"""Generation on a GPU: graphs say what plain steps say, and half precision depends on no neighbour."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.models.deepseek_ocr2.configuration_deepseek_ocr2 import DeepseekOcr2TextConfig
from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import DeepseekOcr2TextModel

from models.generation import Generated, Generator, NgramGuard, Prompt
from models.generation.generator import DecodingOptions

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
WIDTH, VOCABULARY = 256, 1024
GUARD = NgramGuard(size=4, window=24)


def decoder(dtype: torch.dtype) -> DeepseekOcr2TextModel:
    torch.manual_seed(0)
    config = DeepseekOcr2TextConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=512,
        num_hidden_layers=3,
        num_attention_heads=4,
        moe_intermediate_size=128,
        n_routed_experts=16,
        num_experts_per_tok=4,
        n_shared_experts=2,
        mlp_layer_types=["dense", "sparse", "sparse"],
        max_position_embeddings=2048,
        initializer_range=0.1,
    )
    return DeepseekOcr2TextModel(config).eval().to("cuda", dtype)


def generator(network: Any, **settings: Any) -> Generator:
    torch.manual_seed(1)
    head = nn.Linear(WIDTH, VOCABULARY, bias=False).to(network.device, network.dtype)
    settings = {"end": frozenset(range(4)), "guard": GUARD, "slots": 32} | settings
    return Generator(network, network.embed_tokens, head, **settings)


def prompts(count: int, limit: int = 300) -> list[Prompt]:
    source = torch.Generator().manual_seed(0)
    lengths = torch.randint(200, 300, (count,), generator=source).tolist()
    return [Prompt(torch.randn(length, WIDTH, generator=source), limit + length % 50) for length in lengths]


def tokens(made: list[Generated]) -> list[list[int]]:
    return [one.tokens for one in made]


@pytest.mark.parametrize("guard", [GUARD, None])
def test_replayed_graphs_say_what_single_steps_say(guard: NgramGuard | None) -> None:
    network, pages = decoder(torch.bfloat16), prompts(48)
    expected = generator(network, guard=guard, options=DecodingOptions(8, 256, 1, graphs=False)).generate(pages)
    graphed = generator(network, guard=guard, options=DecodingOptions(8, 256, 1, graphs=True))
    assert graphed.generate(pages) == expected  # captured on the way
    assert graphed.generate(pages) == expected  # from the graphs that were kept


def test_graphs_of_packed_rows_say_what_single_steps_say() -> None:
    network, pages = decoder(torch.float32), prompts(6, limit=40)
    network.config._experts_implementation = "batched_mm"  # in float32 the only one that a graph can hold
    expected = tokens(
        generator(network, slots=4, options=DecodingOptions(8, 256, 1, graphs=False)).generate(pages)
    )
    graphed = generator(network, slots=4, options=DecodingOptions(8, 256, 1, graphs=True))
    assert tokens(graphed.generate(pages)) == expected


def test_in_half_precision_a_page_says_the_same_alone_and_with_others_in_any_order() -> None:
    reader, pages = generator(decoder(torch.bfloat16)), prompts(70)
    together = reader.generate(pages)
    assert tokens(reader.generate(pages[::-1]))[::-1] == tokens(together)
    assert [tokens(reader.generate([page]))[0] for page in pages[:6]] == tokens(together[:6])


def test_a_gpu_reads_in_float32_what_a_cpu_reads() -> None:
    network, pages = decoder(torch.float32), prompts(4, limit=20)
    made = generator(network).generate(pages)
    assert tokens(made) == tokens(generator(network.cpu()).generate(pages))


def test_a_gpu_without_the_memory_reads_with_fewer_slots() -> None:
    network, pages = decoder(torch.bfloat16), prompts(12)
    expected = tokens(generator(network, slots=8).generate(pages))
    held: list[Tensor] = []
    drawn = iter(pages)

    def scarce(*_: Any) -> None:
        if not held:
            held.append(torch.empty(0))
            raise torch.OutOfMemoryError("of the first pass")

    hook = network.register_forward_pre_hook(scarce)
    reader = generator(network, slots=16)
    made = tokens(reader.generate(drawn))
    hook.remove()
    assert reader.slots == 8
    assert made == expected
