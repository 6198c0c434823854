"""DeepSeek-OCR's files: config.json and safetensors shards, under the published names.

    load(directory, *, dtype=None, device="cpu") -> DeepseekOcrForConditionalGeneration
    save(network, directory, *, companions=None)        load -> save gives the same names and bits
    published(state) -> published name -> the network's tensors (or parts of them) that make it up

transformers' classes name and cut some tensors otherwise than the published file: a layer's experts are two
tensors there and single matrices in the file; CLIP's query, key and value are one matrix in the file. The table
below says both ways at once: every published tensor is views into the network's own, one above the other.
Shards are read tensor by tensor, so a network takes its own size in memory and no more.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers.initialization import no_init_weights

from flywheel.errors import Rejected, SetupError
from flywheel.reasons import Reason
from models.readers.deepseek_ocr.config import IMAGE_TOKEN_ID, DeepseekOcrConfig
from models.readers.deepseek_ocr.network import DeepseekOcrForConditionalGeneration

CONFIG, INDEX, SINGLE = "config.json", "model.safetensors.index.json", "model.safetensors"
SHARD_BYTES = 5 << 30
COMPANIONS = (".json", ".txt", ".model", ".jinja")  # tokenizer and processor; nothing that could be code

_SAM, _CLIP = "model.vision_tower.sam_encoder.", "model.vision_tower.vision_encoder."
NAMES = tuple(
    (re.compile(own), name)
    for own, name in (
        (rf"^{_SAM}patch_embed\.projection\.", "model.sam_model.patch_embed.proj."),
        (rf"^{_SAM}layers\.(\d+)\.layer_norm([12])\.", r"model.sam_model.blocks.\1.norm\2."),
        (rf"^{_SAM}layers\.", "model.sam_model.blocks."),
        (rf"^{_SAM}neck\.conv1\.", "model.sam_model.neck.0."),
        (rf"^{_SAM}neck\.layer_norm1\.", "model.sam_model.neck.1."),
        (rf"^{_SAM}neck\.conv2\.", "model.sam_model.neck.2."),
        (rf"^{_SAM}neck\.layer_norm2\.", "model.sam_model.neck.3."),
        (rf"^{_SAM}proj\.conv1\.", "model.sam_model.net_2."),
        (rf"^{_SAM}proj\.conv2\.", "model.sam_model.net_3."),
        (rf"^{_SAM}", "model.sam_model."),
        (rf"^{_CLIP}encoder\.", "model.vision_model.transformer."),
        (rf"^{_CLIP}", "model.vision_model."),
        (r"^model\.unused_patch_embedding$", "model.vision_model.embeddings.patch_embedding.weight"),
        (r"^model\.multi_modal_projector\.", "model.projector.layers."),
        (r"^model\.view_separator$", "model.view_seperator"),
        (r"^model\.language_model\.", "model."),
    )
)
_QKV = re.compile(rf"^({_CLIP}.*\.self_attn\.)([qkv])_proj\.(weight|bias)$")
_EXPERTS = re.compile(r"^(.*\.mlp\.experts\.)(gate_up|down)_proj$")
# Not weights: the numbers 0, 1, 2 ... Some savers write this buffer, some do not.
POSITIONS = "model.vision_model.embeddings.position_ids"


def load(
    directory: Path, *, dtype: torch.dtype | None = None, device: str | torch.device = "cpu"
) -> DeepseekOcrForConditionalGeneration:
    """The network a folder in the published layout holds, ready to read; in the file's own dtype unless told.

    Raises SetupError when the folder or its config.json is not DeepSeek-OCR's, and
    Rejected(UNSAFE_MODEL_FORMAT) when weights are not safetensors, or not the tensors that config.json asks for.
    """
    config = DeepseekOcrConfig.from_published(_config(directory), image_token_id=_image_token_id(directory))
    shards = _shards(directory)
    with torch.device(device), no_init_weights():
        network: Any = DeepseekOcrForConditionalGeneration._from_config(  # type: ignore[no-untyped-call]
            config, dtype=dtype or _dtype(directory, shards)
        )
    network.position_ids_saved = _fill(published(network.state_dict()), directory, shards)
    network.eval()
    loaded: DeepseekOcrForConditionalGeneration = network
    return loaded


def save(
    network: DeepseekOcrForConditionalGeneration,
    directory: Path,
    *,
    companions: Path | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write config.json, shards and index under the published names, in the network's dtype; the index comes last.

    `companions`: the folder whose tokenizer and other small files are copied along.
    Raises SetupError for a network that did not come from a published configuration.
    """
    if network.config.published is None:
        raise SetupError("this network has no published config.json to save with it")
    directory.mkdir(parents=True, exist_ok=True)
    if companions is not None:
        _copy_companions(companions, directory)
    groups = _groups(_named(network), shard_bytes)
    files: dict[str, str] = {}
    sizes = 0
    for number, names in enumerate(groups, start=1):
        file = f"model-{number:05d}-of-{len(groups):06d}.safetensors"
        tensors = {name: torch.cat(views).to("cpu", copy=True).contiguous() for name, views in names.items()}
        save_file(tensors, directory / file, metadata={"format": "pt"})
        files |= dict.fromkeys(tensors, file)
        sizes += sum(tensor.nbytes for tensor in tensors.values())
    _write_json(directory / CONFIG, network.config.published)
    _write_json(directory / INDEX, {"metadata": {"total_size": sizes}, "weight_map": dict(sorted(files.items()))})


def published(state: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
    """Published names, each with the views into the network's tensors that lie one above the other in it."""
    named: dict[str, list[Tensor]] = {}
    for key, tensor in state.items():
        if part := _QKV.match(key):
            name = f"{_name(part.group(1))}qkv_proj.{part.group(3)}"
            named.setdefault(name, [tensor] * 3)["qkv".index(part.group(2))] = tensor
        elif part := _EXPERTS.match(key):
            named |= _experts(_name(part.group(1)), part.group(2), tensor)
        else:
            named[_name(key)] = [tensor]
    return named


def _name(key: str) -> str:
    for own, name in NAMES:
        if own.match(key):
            return own.sub(name, key)
    return key


def _experts(prefix: str, kind: str, tensor: Tensor) -> dict[str, list[Tensor]]:
    if kind == "down":
        return {f"{prefix}{n}.down_proj.weight": [matrix] for n, matrix in enumerate(tensor)}
    named: dict[str, list[Tensor]] = {}
    for n, both in enumerate(tensor):
        gate, up = both.chunk(2)
        named |= {f"{prefix}{n}.gate_proj.weight": [gate], f"{prefix}{n}.up_proj.weight": [up]}
    return named


def _named(network: DeepseekOcrForConditionalGeneration) -> dict[str, list[Tensor]]:
    named = published(network.state_dict())
    if network.position_ids_saved:
        named[POSITIONS] = [network.model.vision_tower.vision_encoder.embeddings.position_ids]
    return named


def _fill(named: dict[str, list[Tensor]], directory: Path, shards: dict[str, str]) -> bool:
    """Copy each published tensor to where it belongs; True when the file also holds the positions buffer."""
    _check_names(set(named), set(shards) - {POSITIONS})
    with torch.no_grad():
        for name, tensor in _read(directory, {k: v for k, v in shards.items() if k != POSITIONS}):
            views = named[name]
            rows = [len(view) for view in views]
            if tensor.shape != (sum(rows), *views[0].shape[1:]):
                raise _unsafe(f"{name} is {list(tensor.shape)}, not {[sum(rows), *views[0].shape[1:]]}")
            for view, part in zip(views, torch.split(tensor, rows), strict=True):
                view.copy_(part)
    return POSITIONS in shards


def _read(directory: Path, shards: dict[str, str]) -> Iterator[tuple[str, Tensor]]:
    """Tensors one by one, file after file."""
    for file in sorted(set(shards.values())):
        try:
            with safe_open(directory / file, framework="pt") as opened:
                for name in sorted(key for key, of in shards.items() if of == file):
                    yield name, opened.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise _unsafe(f"{file}: {error}") from error


def _shards(directory: Path) -> dict[str, str]:
    """Published name -> file in `directory`, from the index or from the one file there is."""
    if (directory / INDEX).is_file():
        files = _json(directory / INDEX).get("weight_map")
        if not isinstance(files, dict) or not files or not all(isinstance(file, str) for file in files.values()):
            raise _unsafe(f"{INDEX} has no weight_map of names")
        for file in files.values():
            if Path(file).name != file or not file.endswith(".safetensors"):
                raise _unsafe(f"{INDEX} names {file!r}")
        return files
    if not (directory / SINGLE).is_file():
        raise _unsafe(f"neither {INDEX} nor {SINGLE} in {directory}")
    try:
        with safe_open(directory / SINGLE, framework="pt") as opened:
            return dict.fromkeys(opened.keys(), SINGLE)
    except (SafetensorError, OSError) as error:
        raise _unsafe(f"{SINGLE}: {error}") from error


def _check_names(wanted: set[str], found: set[str]) -> None:
    for what, names in (("lacks", wanted - found), ("holds the unknown", found - wanted)):
        if names:
            few = ", ".join(sorted(names)[:3])
            raise _unsafe(f"the file {what} {few}{f' and {len(names) - 3} more' if len(names) > 3 else ''}")


def _dtype(directory: Path, shards: dict[str, str]) -> torch.dtype:
    """Of the last tensor by name, the view separator or a like weight: a published file has one dtype."""
    name = max(name for name in shards if name != POSITIONS)
    (_, tensor), *_ = _read(directory, {name: shards[name]})
    return tensor.dtype


def _groups(named: dict[str, list[Tensor]], limit: int) -> list[dict[str, list[Tensor]]]:
    """Names in order, cut where a file would grow beyond `limit` bytes."""
    groups: list[dict[str, list[Tensor]]] = [{}]
    size = 0
    for name in sorted(named):
        of = sum(view.nbytes for view in named[name])
        if groups[-1] and size + of > limit:
            groups.append({})
            size = 0
        groups[-1][name] = named[name]
        size += of
    return groups


def _config(directory: Path) -> dict[str, Any]:
    if not (directory / CONFIG).is_file():
        raise SetupError(f"no {CONFIG} in {directory}: not a folder with a model's files")
    return _json(directory / CONFIG)


def _image_token_id(directory: Path) -> int:
    """Number of "<image>" in the folder's tokenizer; without a tokenizer, the published one."""
    if not (directory / "tokenizer.json").is_file():
        return IMAGE_TOKEN_ID
    added = _json(directory / "tokenizer.json").get("added_tokens", [])
    return next((int(token["id"]) for token in added if token["content"] == "<image>"), IMAGE_TOKEN_ID)


def _copy_companions(source: Path, directory: Path) -> None:
    for file in sorted(source.iterdir()):
        if file.suffix in COMPANIONS and file.name not in (CONFIG, INDEX) and file.is_file():
            shutil.copyfile(file, directory / file.name)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unsafe(f"{path.name}: {error}") from error
    if not isinstance(content, dict):
        raise _unsafe(f"{path.name} is not an object")
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _unsafe(detail: str) -> Rejected:
    return Rejected(Reason.UNSAFE_MODEL_FORMAT, detail)
