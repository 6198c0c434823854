"""DeepSeek-OCR's network, composed of transformers' own classes, numerically the published one.

    DeepseekOcrForConditionalGeneration(config)
    .image_features(pixel_values, pixel_values_local, local_grids) -> one [n, hidden] tensor an image
    .forward(...)        logits, and the loss where labels are given
    .parts()             its six groups of parameters, to freeze or to train

A view goes through SAM (window attention, patch 16), two stride-2 convolutions (the compressor), and CLIP (global
attention over what SAM gives it); both outputs side by side are projected to the decoder's width (DeepSeek-OCR,
section 3.2). The encoders are `unlimited_ocr`'s, the decoder is `deepseek_ocr2`'s text model: plain causal
multi-head attention over all tokens, experts after the first layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel, initialization
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import DeepseekOcr2TextModel
from transformers.models.unlimited_ocr.modeling_unlimited_ocr import UnlimitedOcrVisionModel

from models.readers.deepseek_ocr.config import DeepseekOcrConfig
from models.readers.deepseek_ocr.views import UNCUT, Grid


class DeepseekOcrPreTrainedModel(PreTrainedModel):
    """Shared by the two classes below: the drawing of fresh weights, and flags of transformers."""

    config: DeepseekOcrConfig
    config_class = DeepseekOcrConfig
    base_model_prefix = "model"
    input_modalities = ["image", "text"]  # noqa: RUF012  # as the superclass declares it
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = True
    _supports_sdpa = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, DeepseekOcrModel):
            deviation = 1 / math.sqrt(self.config.text_config.hidden_size)
            initialization.normal_(module.image_newline, std=deviation)
            initialization.normal_(module.view_separator, std=deviation)
            initialization.zeros_(module.unused_patch_embedding)

    def save_pretrained(self, save_directory: Any, *arguments: Any, **kwargs: Any) -> None:
        """Under this module's own names, as a trainer resumes from; `weights.save` writes the published ones."""
        super().save_pretrained(save_directory, *arguments, **{"save_original_format": False} | kwargs)


class DeepseekOcrModel(DeepseekOcrPreTrainedModel):
    """Encoders, projector, separators and decoder, without the head."""

    def __init__(self, config: DeepseekOcrConfig) -> None:
        super().__init__(config)
        sam, clip = config.vision_config.sam_config, config.vision_config.encoder_config
        hidden = config.text_config.hidden_size
        self.vision_tower = UnlimitedOcrVisionModel(config.vision_config)
        self.multi_modal_projector = nn.Linear(sam.downsample_channels[-1] + clip.hidden_size, hidden)
        self.image_newline = nn.Parameter(torch.empty(hidden))
        self.view_separator = nn.Parameter(torch.empty(hidden))
        self.language_model = DeepseekOcr2TextModel(config.text_config)
        # CLIP's own patch embedding lies in the published file and is never run; kept so that saving is lossless.
        patches = torch.empty(clip.hidden_size, clip.num_channels, clip.patch_size, clip.patch_size)
        self.unused_patch_embedding = nn.Buffer(patches)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Embedding:
        embeddings: nn.Embedding = self.language_model.embed_tokens
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.embed_tokens = value  # type: ignore[assignment]  # as transformers declares "value"

    def image_features(
        self,
        pixel_values: Tensor,
        pixel_values_local: Tensor | None = None,
        local_grids: Sequence[Grid] | Tensor | None = None,
        *,
        chunk: int | None = None,
    ) -> list[Tensor]:
        """Each image's embeddings in the place of its placeholders: n_i x hidden, in the published order: rows
        of the tiles' common grid, rows of the global view, each row closed by the newline; then the separator.

        `pixel_values` [images, 3, size, size], `pixel_values_local` [all tiles, 3, tile, tile]: uint8, or floats
        already normalised. `local_grids`: tiles across and down, an image each. For `chunk` see `view_features`.
        Raises ValueError when tiles and grids disagree.
        """
        grids = [UNCUT] * len(pixel_values) if local_grids is None else [(int(w), int(h)) for w, h in local_grids]
        counts = [0 if grid == UNCUT else grid[0] * grid[1] for grid in grids]
        given = 0 if pixel_values_local is None else len(pixel_values_local)
        if len(grids) != len(pixel_values) or sum(counts) != given:
            raise ValueError(f"{len(pixel_values)} images and {given} tiles for the grids {grids}")
        views = self.view_features(pixel_values, chunk=chunk)
        if pixel_values_local is None or not given:
            return [self._arranged(view, None, UNCUT) for view in views]
        tiles = torch.split(self.view_features(pixel_values_local, chunk=chunk), counts)
        return [self._arranged(*parts) for parts in zip(views, tiles, grids, strict=True)]

    def view_features(self, pixels: Tensor, *, chunk: int | None = None) -> Tensor:
        """Views [n, 3, size, size] of one size -> [n, (size / 64) ** 2, hidden], before newlines and separator.

        With `chunk`, so many views go at once. In half precision the last chunk is then filled up with blank
        views: products of another shape round otherwise, and no page may depend on what else was read.
        """
        steady = chunk is not None and self.image_newline.dtype != torch.float32
        size = chunk or max(1, len(pixels))
        features: list[Tensor] = []
        for part in torch.split(pixels, size):
            filled = torch.cat([part, part.new_zeros(size - len(part), *part.shape[1:])]) if steady else part
            encoded = self.vision_tower(self._normalised(filled)).last_hidden_state
            features.append(self.multi_modal_projector(encoded)[: len(part)])
        return torch.cat(features)

    def _normalised(self, pixels: Tensor) -> Tensor:
        """uint8 -> -1..1 (mean and deviation 0.5, in float32), on the network's device and in its dtype."""
        weight = self.image_newline
        pixels = pixels.to(weight.device)
        if not pixels.is_floating_point():
            pixels = (pixels.to(torch.float32) / 255 - 0.5) / 0.5
        return pixels.to(weight.dtype)

    def _arranged(self, view: Tensor, tiles: Tensor | None, grid: Grid) -> Tensor:
        """One image's tokens in order; `view` [q * q, hidden], `tiles` [h * w, q' * q', hidden]."""
        side = math.isqrt(len(view))
        parts = [self._rows(view.view(side, side, -1)), self.view_separator[None]]
        if tiles is not None and grid != UNCUT:
            across, down = grid
            q = math.isqrt(tiles.shape[1])
            joined = tiles.view(down, across, q, q, -1).transpose(1, 2).reshape(down * q, across * q, -1)
            parts.insert(0, self._rows(joined))
        return torch.cat(parts)

    def _rows(self, features: Tensor) -> Tensor:
        """[rows, columns, hidden] -> [rows * (columns + 1), hidden], a newline behind each row."""
        newline = self.image_newline.expand(len(features), 1, -1)
        return torch.cat([features, newline], dim=1).flatten(0, 1)

    def embedded(self, input_ids: Tensor, features: Tensor) -> Tensor:
        """Token embeddings with `features` [places, hidden] in the placeholders' places: [batch, length, hidden].

        Raises ValueError when placeholders and features differ in number.
        """
        embeds: Tensor = self.get_input_embeddings()(input_ids)
        places = input_ids == self.config.image_token_id
        if int(places.sum()) != len(features):
            raise ValueError(f"{int(places.sum())} image placeholders for {len(features)} image features")
        return embeds.masked_scatter(places[..., None], features.to(embeds.dtype))

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        pixel_values_local: Tensor | None = None,
        local_grids: Sequence[Grid] | Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        if inputs_embeds is None:
            features = self.image_newline.new_zeros(0, len(self.image_newline))
            if pixel_values is not None:
                features = torch.cat(self.image_features(pixel_values, pixel_values_local, local_grids))
            if input_ids is None:
                raise ValueError("neither input_ids nor inputs_embeds")
            inputs_embeds = self.embedded(input_ids, features)
        outputs: BaseModelOutputWithPast = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        return outputs


class DeepseekOcrForConditionalGeneration(DeepseekOcrPreTrainedModel, GenerationMixin):
    """The whole reader: image and prompt in, logits of the next tokens out."""

    def __init__(self, config: DeepseekOcrConfig) -> None:
        super().__init__(config)
        self.position_ids_saved = False  # whether the file it came from held CLIP's `position_ids`
        self.model: DeepseekOcrModel = DeepseekOcrModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Embedding:
        embeddings: nn.Embedding = self.model.get_input_embeddings()
        return embeddings

    def get_output_embeddings(self) -> nn.Linear:
        head: nn.Linear = self.lm_head
        return head

    def image_features(
        self,
        pixel_values: Tensor,
        pixel_values_local: Tensor | None = None,
        local_grids: Sequence[Grid] | Tensor | None = None,
        *,
        chunk: int | None = None,
    ) -> list[Tensor]:
        """See `DeepseekOcrModel.image_features`."""
        features: list[Tensor] = self.model.image_features(
            pixel_values, pixel_values_local, local_grids, chunk=chunk
        )
        return features

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        pixel_values_local: Tensor | None = None,
        local_grids: Sequence[Grid] | Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits [batch, length, vocabulary] (of the last `logits_to_keep` positions; 0: all), and the mean cross
        entropy in float32 of each token given those before it, where `labels` [batch, length] are not -100.
        """
        if use_cache is None and labels is not None:
            use_cache = False  # nothing is continued from a training step
        outputs = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            pixel_values_local=pixel_values_local,
            local_grids=local_grids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits, labels, vocab_size=logits.shape[-1], num_items_in_batch=num_items_in_batch
            )
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=outputs.past_key_values)

    def parts(self) -> dict[str, nn.ModuleList]:
        """All parameters in six groups (DeepSeek-OCR, section 3.5 freezes the first two in its second stage).

        Each group has `.parameters()` and `.requires_grad_(...)`; no parameter is in two of them.
        """
        tower, model = self.model.vision_tower, self.model
        sam = tower.sam_encoder
        groups: dict[str, list[nn.Module]] = {
            "sam": [sam.patch_embed, nn.ParameterList([sam.pos_embed]), sam.layers, sam.neck],
            "compressor": [sam.proj],
            "clip": [tower.vision_encoder],
            "projector": [
                model.multi_modal_projector,
                nn.ParameterList([model.image_newline, model.view_separator]),
            ],
            "decoder": [model.language_model],
            "head": [self.lm_head],
        }
        return {name: nn.ModuleList(modules) for name, modules in groups.items()}
