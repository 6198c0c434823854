"""Pages and tokens a second of DeepSeek-OCR with random weights, batched and one page at a time.

    python benchmarks/deepseek_ocr.py                        on a GPU: the published sizes in bfloat16, minutes
    python benchmarks/deepseek_ocr.py --device cpu           sizes that a CPU takes a minute for
        [--batches 1,8,32] [--tokens 1000] [--pixels 1024] [--experts grouped_mm] [--no-guard]

The arithmetic of a network does not ask what its weights are, so random ones tell the rates of the published ones.
Each page is a random image in base mode (one padded view), every answer has the same length, and no end token is
known. A batch is read from the images to the last token: vision, prefill and decoding, with the n-gram guard.
On a GPU it is read twice, and the first time, with CUDA graphs to capture, is told apart.
One at a time is transformers' own `generate` with its growing cache, without the guard, after the same vision.

`prefill` is a run of one token a page, `decode` the whole run without it. `cpu_seconds` counts processor time of
this process, which other work on the machine does not distort. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from models.generation import Generator, NgramGuard, Prompt
from models.readers.deepseek_ocr.config import DeepseekOcrConfig
from models.readers.deepseek_ocr.network import DeepseekOcrForConditionalGeneration

PROMPT_TOKENS = 12  # of the prompt's text, about as many as the published ones have
VIEWS_AT_ONCE = 8
REDUCED: dict[str, Any] = {
    "vocab_size": 16_000,
    "hidden_size": 256,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "moe_intermediate_size": 192,
    "n_routed_experts": 16,
    "num_experts_per_tok": 4,
    "vision_config": {
        "image_size": 512,
        "width": {
            "sam_vit_b": {
                "width": 48,
                "layers": 2,
                "heads": 4,
                "global_attn_indexes": [1],
                "out_chans": 32,
                "downsample_channels": [64, 128],
            },
            "clip-l-14-224": {"width": 128, "layers": 2, "heads": 4},
        },
    },
}


def main() -> int:
    call = arguments()
    torch.set_num_threads(call.threads)
    network = built(call)
    reader = ReadingBenchmark(network, call)
    alone = reader.one_at_a_time(1 if call.device == "cuda" else 2)
    batched = [reader.batched(batch) for batch in call.batches]
    for figures in batched:
        for key in ("pages_per_second", "pages_per_cpu_second"):
            figures[f"{key}_ratio"] = round(figures[key] / alone[key], 2)
    report = {
        "device": torch.cuda.get_device_name() if call.device == "cuda" else "cpu",
        "threads": call.threads,
        "torch": torch.__version__,
        "dtype": str(network.dtype).removeprefix("torch."),
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "experts": network.model.language_model.config._experts_implementation,
        "guard": call.guard,
        "pixels": call.pixels,
        "prompt_tokens": reader.prompt_tokens,
        "new_tokens": call.tokens,
        "one_at_a_time": {"how": "transformers generate, growing cache, no guard"} | alone,
        "batched": batched,
    }
    json.dump(report, sys.stdout, indent=1)
    print()
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/deepseek_ocr.py", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), help="without it: cuda where there is one")
    parser.add_argument("--batches", type=sizes, help="pages at once, comma between; as memory allows")
    parser.add_argument("--tokens", type=int, help="new tokens a page")
    parser.add_argument("--pixels", type=int, help="side of the view")
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU")
    parser.add_argument("--experts", choices=("eager", "batched_mm", "grouped_mm"), help="how experts multiply")
    parser.add_argument("--guard", action=argparse.BooleanOptionalAction, default=True)
    call = parser.parse_args()
    call.device = call.device or ("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = call.device == "cuda"
    call.batches = call.batches or ([1, 8, 32, 128, 256, 512] if on_gpu else [1, 8, 32])
    call.tokens = call.tokens or (1000 if on_gpu else 100)
    call.pixels = call.pixels or (1024 if on_gpu else 512)
    return call


def sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


def built(call: argparse.Namespace) -> DeepseekOcrForConditionalGeneration:
    """Random weights, made on the device and in the type they are used in."""
    torch.manual_seed(0)
    published = {} if call.device == "cuda" else REDUCED
    torch.set_default_dtype(torch.bfloat16 if call.device == "cuda" else torch.float32)
    try:
        with torch.device(call.device):
            network = DeepseekOcrForConditionalGeneration(DeepseekOcrConfig.from_published(published))
    finally:
        torch.set_default_dtype(torch.float32)
    if call.experts:
        network.model.language_model.set_experts_implementation(call.experts)
    return network.eval()


class ReadingBenchmark:
    """Reads random pages, in batches or one at a time, and tells how long it took."""

    def __init__(self, network: DeepseekOcrForConditionalGeneration, call: argparse.Namespace) -> None:
        self._network = network
        self._call = call
        self._guard = NgramGuard(exempt=frozenset({5, 6})) if call.guard else None
        side = call.pixels // 64
        self.prompt_tokens = 1 + side * (side + 1) + 1 + PROMPT_TOKENS

    def one_at_a_time(self, pages: int) -> dict[str, Any]:
        """With transformers' `generate`, the whole answer by force."""

        def read(new: int) -> None:
            for number in range(pages):
                embeds = torch.stack(
                    [prompt.embeds for prompt in self._prompts(self._images(1, seed=number), new)]
                )
                self._network.generate(
                    inputs_embeds=embeds,
                    attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device),
                    max_new_tokens=new,
                    min_new_tokens=new,
                    do_sample=False,
                    pad_token_id=0,
                )

        read(4)
        return {"pages": pages} | self._rates(pages, self._timed(lambda: read(self._call.tokens)))

    def batched(self, batch: int) -> dict[str, Any]:
        """A batch of as many pages; `slots` tells how many of them the memory took at once."""
        network, on_gpu = self._network, self._call.device == "cuda"
        generator = Generator(
            network.model.language_model,
            network.get_input_embeddings(),
            network.lm_head,
            end=frozenset(),
            guard=self._guard,
            slots=batch,
        )
        images = self._images(batch)
        generator.generate(self._prompts(images[:VIEWS_AT_ONCE], 4))
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()

        def read() -> None:
            generator.generate(self._prompts(images, self._call.tokens))

        first = self._timed(read) if on_gpu else None
        whole = self._timed(read)
        slots, memory = generator.slots, torch.cuda.max_memory_allocated() if on_gpu else None
        prompts: list[Prompt] = []
        vision = self._timed(lambda: prompts.extend(self._prompts(images, 1)))
        prefill = self._timed(lambda: generator.generate(prompts))
        generator.release()
        decode = whole["seconds"] - vision["seconds"] - prefill["seconds"]
        rounds = -(-batch // slots) * (self._call.tokens - 1)
        return {
            "batch": batch,
            "slots": slots,
            **self._rates(batch, whole),
            "capture_seconds": round(first["seconds"] - whole["seconds"], 3) if first else None,
            "vision_seconds": round(vision["seconds"], 3),
            "prefill_seconds": round(prefill["seconds"], 3),
            "decode_seconds": round(decode, 3),
            "step_ms": round(1000 * decode / rounds, 3),
            "device_bytes": memory,
        }

    def _rates(self, pages: int, took: dict[str, float]) -> dict[str, Any]:
        return {
            "pages_per_second": round(pages / took["seconds"], 4),
            "pages_per_cpu_second": round(pages / took["cpu_seconds"], 4),
            "tokens_per_second": round(pages * self._call.tokens / took["seconds"], 1),
            "seconds": round(took["seconds"], 3),
            "cpu_seconds": round(took["cpu_seconds"], 3),
        }

    def _images(self, count: int, seed: int = 0) -> Tensor:
        """uint8 [count, 3, pixels, pixels], on the host, as pages come."""
        source = torch.Generator().manual_seed(seed)
        shape = (count, 3, self._call.pixels, self._call.pixels)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=source)

    def _prompts(self, images: Tensor, limit: int) -> list[Prompt]:
        """Embedded, a few views through the encoders at a time."""
        network = self._network
        text = torch.arange(10, 10 + PROMPT_TOKENS, device=network.device)
        prompts: list[Prompt] = []
        with torch.inference_mode():
            for part in torch.split(images, VIEWS_AT_ONCE):
                for features in network.image_features(part, chunk=min(VIEWS_AT_ONCE, len(part))):
                    embed = network.get_input_embeddings()
                    embeds = torch.cat([embed(text[:1]), features, embed(text)])
                    prompts.append(Prompt(embeds, limit))
        return prompts

    def _timed(self, work: Callable[[], object]) -> dict[str, float]:
        since, cpu = time.perf_counter(), time.process_time()
        work()
        if self._call.device == "cuda":
            torch.cuda.synchronize()
        return {"seconds": time.perf_counter() - since, "cpu_seconds": time.process_time() - cpu}


if __name__ == "__main__":
    sys.exit(main())
