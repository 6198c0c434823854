"""DeepSeek-OCR in plain words and loops, from the published names.

What a reader of the paper and the file would write, and tests hold the network against. Slow, and for the tiny
model's sizes alone (tests/models/tiny.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from tests.models.tiny import WEIGHTS


class ReferenceDeepseekOcr:
    """A tiny model's features and logits, a view, a token and an expert at a time."""

    def __init__(self, directory: Path) -> None:
        self.w = load_file(directory / WEIGHTS)

    def linear(self, x: Tensor, name: str) -> Tensor:
        product = x @ self.w[f"{name}.weight"].T
        return product + self.w[f"{name}.bias"] if f"{name}.bias" in self.w else product

    def norm(self, x: Tensor, name: str, epsilon: float) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + epsilon).sqrt()
        return scaled * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def convolved(self, x: Tensor, name: str, **how: Any) -> Tensor:
        return F.conv2d(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"), **how)

    def sam_attention(self, x: Tensor, name: str, heads: int) -> Tensor:
        """x [h, w, width]. A pixel's score for another: their product, and what the query says to the distance."""
        height, width, _ = x.shape
        q, k, v = self.linear(x, f"{name}.qkv").reshape(height * width, 3, heads, -1).permute(1, 2, 0, 3)
        scores = q @ k.transpose(1, 2) * q.shape[-1] ** -0.5
        down, across = torch.arange(height).repeat_interleave(width), torch.arange(width).repeat(height)
        for axis, where in (("h", down), ("w", across)):
            table, size = self.w[f"{name}.rel_pos_{axis}"], int(where.max()) + 1
            if len(table) != 2 * size - 1:
                table = F.interpolate(table.T[None], size=2 * size - 1, mode="linear")[0].T
            by_distance = q @ table.T  # heads, pixels, distances
            distance = where[:, None] - where[None, :] + size - 1
            scores = scores + by_distance.gather(2, distance.expand(heads, -1, -1))
        mixed = (scores.softmax(-1) @ v).permute(1, 0, 2).reshape(height, width, -1)
        return self.linear(mixed, f"{name}.proj")

    def sam(self, view: Tensor) -> Tensor:
        """view [3, size, size] -> [channels, size / 64, size / 64]; one layer in windows, then one over all."""
        x = self.convolved(view[None], "model.sam_model.patch_embed.proj", stride=16)[0].permute(1, 2, 0)
        side = len(x)
        x = x + resized(self.w["model.sam_model.pos_embed"][0], side)
        for layer, window in ((0, 14), (1, side)):
            block = f"model.sam_model.blocks.{layer}"
            inner = self.norm(x, f"{block}.norm1", 1e-6)
            whole = -(-side // window) * window
            inner = F.pad(inner, (0, 0, 0, whole - side, 0, whole - side))  # with zeros that are attended to
            for top in range(0, whole, window):
                for left in range(0, whole, window):
                    part = inner[top : top + window, left : left + window].clone()
                    inner[top : top + window, left : left + window] = self.sam_attention(part, f"{block}.attn", 2)
            x = x + inner[:side, :side]
            hidden = F.gelu(self.linear(self.norm(x, f"{block}.norm2", 1e-6), f"{block}.mlp.lin1"))
            x = x + self.linear(hidden, f"{block}.mlp.lin2")
        for step, how in (("neck.0", {}), ("neck.2", {"padding": 1})):
            maps = self.convolved(x.permute(2, 0, 1)[None], f"model.sam_model.{step}", **how)[0].permute(1, 2, 0)
            x = self.norm(maps, f"model.sam_model.neck.{int(step[-1]) + 1}", 1e-6)
        x = x.permute(2, 0, 1)[None]
        for step in ("net_2", "net_3"):
            x = self.convolved(x, f"model.sam_model.{step}", stride=2, padding=1)
        return x[0]

    def clip(self, patches: Tensor) -> Tensor:
        """patches [tokens, width], SAM's in place of its own -> the same, without the class token."""
        name = "model.vision_model"
        positions = self.w[f"{name}.embeddings.position_embedding.weight"]
        places = resized(positions[1:].reshape(16, 16, -1), int(len(patches) ** 0.5)).reshape(len(patches), -1)
        first = self.w[f"{name}.embeddings.class_embedding"] + positions[0]
        x = self.norm(torch.cat([first[None], patches + places]), f"{name}.pre_layrnorm", 1e-5)
        for layer in range(2):
            block = f"{name}.transformer.layers.{layer}"
            inner = self.norm(x, f"{block}.layer_norm1", 1e-5)
            q, k, v = (
                self.linear(inner, f"{block}.self_attn.qkv_proj").reshape(len(x), 3, 4, -1).permute(1, 2, 0, 3)
            )
            mixed = (q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(-1) @ v
            x = x + self.linear(mixed.permute(1, 0, 2).reshape(x.shape), f"{block}.self_attn.out_proj")
            inner = self.linear(self.norm(x, f"{block}.layer_norm2", 1e-5), f"{block}.mlp.fc1")
            x = x + self.linear(inner * (1.702 * inner).sigmoid(), f"{block}.mlp.fc2")
        return x[1:]

    def grid(self, view: Tensor) -> Tensor:
        """A view's tokens in their places: [rows, columns, hidden]."""
        compressed = self.sam(view)
        side = compressed.shape[1]
        patches = compressed.flatten(1).T
        both = torch.cat([self.clip(patches), patches], dim=1)
        return self.linear(both, "model.projector.layers").reshape(side, side, -1)

    def image(self, view: Tensor, tiles: Tensor, across: int, down: int) -> Tensor:
        """Row by row over all tiles, then row by row over the view; newlines and the separator."""
        tokens = []
        local = [self.grid(tile) for tile in tiles]
        for row in range(down if len(tiles) else 0):
            for line in range(len(local[0])):
                for column in range(across):
                    tokens += [*local[row * across + column][line]]
                tokens.append(self.w["model.image_newline"])
        for line in self.grid(view):
            tokens += [*line, self.w["model.image_newline"]]
        return torch.stack([*tokens, self.w["model.view_seperator"]])

    def logits(self, embeds: Tensor) -> Tensor:
        """embeds [length, hidden] -> [length, vocabulary]."""
        x, places = embeds, torch.arange(len(embeds))
        for layer in range(3):
            block = f"model.layers.{layer}"
            inner = self.root_norm(x, f"{block}.input_layernorm")
            q, k, v = (
                self.linear(inner, f"{block}.self_attn.{n}_proj").reshape(len(x), 4, -1).swapaxes(0, 1)
                for n in "qkv"
            )
            scores = turned(q, places) @ turned(k, places).transpose(1, 2) * q.shape[-1] ** -0.5
            scores[:, places[:, None] < places[None, :]] = -torch.inf
            x = x + self.linear((scores.softmax(-1) @ v).swapaxes(0, 1).flatten(1), f"{block}.self_attn.o_proj")
            inner = self.root_norm(x, f"{block}.post_attention_layernorm")
            x = x + (self.mlp(inner, f"{block}.mlp") if layer == 0 else self.experts(inner, f"{block}.mlp"))
        return self.linear(self.root_norm(x, "model.norm"), "lm_head")

    def root_norm(self, x: Tensor, name: str) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * self.w[f"{name}.weight"]

    def mlp(self, x: Tensor, name: str) -> Tensor:
        gate = self.linear(x, f"{name}.gate_proj")
        return self.linear(gate * gate.sigmoid() * self.linear(x, f"{name}.up_proj"), f"{name}.down_proj")

    def experts(self, x: Tensor, name: str) -> Tensor:
        """The two likeliest of four, weighted by their likelihoods as they are; and the shared one."""
        likelihoods = self.linear(x, f"{name}.gate").softmax(-1)
        out = self.mlp(x, f"{name}.shared_experts")
        for token, likelihood in enumerate(likelihoods):
            for expert in likelihood.argsort(descending=True)[:2]:
                out[token] += likelihood[expert] * self.mlp(x[token], f"{name}.experts.{int(expert)}")
        return out


def resized(places: Tensor, side: int) -> Tensor:
    """Learned positions [rows, columns, width] for another number of rows and columns."""
    if len(places) == side:
        return places
    maps = places.permute(2, 0, 1)[None]
    return F.interpolate(maps, (side, side), mode="bicubic", antialias=True, align_corners=False)[0].permute(
        1, 2, 0
    )


def turned(x: Tensor, places: Tensor) -> Tensor:
    """Rotary positions: the pair (i, i + half) turned by place * 10000 ** (-i / half)."""
    half = x.shape[-1] // 2
    angle = places[:, None] * 10000 ** (-torch.arange(half) / half)
    left, right = x[..., :half], x[..., half:]
    return torch.cat([left * angle.cos() - right * angle.sin(), right * angle.cos() + left * angle.sin()], dim=-1)
