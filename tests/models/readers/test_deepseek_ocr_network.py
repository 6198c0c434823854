"""DeepSeek-OCR's network against a plain reference, and the parts of it that can be trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.readers.deepseek_ocr.network import DeepseekOcrForConditionalGeneration
from models.readers.deepseek_ocr.weights import load, save
from tests.models.reference import ReferenceDeepseekOcr
from tests.models.tiny import IMAGE, WEIGHTS, tiny_deepseek_ocr


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose norms and biases are not neutral, so that leaving one out is seen."""
    made = tiny_deepseek_ocr(tmp_path_factory.mktemp("deepseek-ocr"))
    weights, generator = load_file(made / WEIGHTS), torch.Generator().manual_seed(1)
    for name, tensor in weights.items():
        if tensor.ndim == 1:
            weights[name] = tensor + 0.2 * torch.randn(tensor.shape, generator=generator)
    save_file(weights, made / WEIGHTS, metadata={"format": "pt"})
    return made


@pytest.fixture(scope="module")
def network(directory: Path) -> DeepseekOcrForConditionalGeneration:
    return load(directory)


@pytest.mark.parametrize("size", [512, 640, 1024, 1280])
def test_a_view_of_every_mode_has_the_described_features(
    size: int, directory: Path, network: DeepseekOcrForConditionalGeneration
) -> None:
    view = torch.rand(3, size, size, generator=torch.Generator().manual_seed(size)) * 2 - 1
    with torch.inference_mode():
        (features,) = network.image_features(view[None])
        described = ReferenceDeepseekOcr(directory).image(view, view.new_empty(0, 3, 640, 640), 1, 1)
    assert features.shape == ((size // 64 + 1) * (size // 64) + 1, 64)
    assert described.std() > 0.5
    torch.testing.assert_close(features, described, atol=1e-4, rtol=0)


def test_tiles_come_first_row_by_row_over_their_whole_grid(
    directory: Path, network: DeepseekOcrForConditionalGeneration
) -> None:
    pixels = torch.rand(7, 3, 256, 256, generator=torch.Generator().manual_seed(2)) * 2 - 1
    (features,) = network.image_features(pixels[:1], pixels[1:], [(3, 2)])
    described = ReferenceDeepseekOcr(directory).image(pixels[0], pixels[1:], 3, 2)
    assert features.shape == ((4 * 3 + 1) * 4 * 2 + 5 * 4 + 1, 64)
    torch.testing.assert_close(features, described, atol=1e-4, rtol=0)


def test_prompt_and_image_have_the_described_logits(
    directory: Path, network: DeepseekOcrForConditionalGeneration
) -> None:
    pixels = torch.rand(3, 3, 256, 256, generator=torch.Generator().manual_seed(3)) * 2 - 1
    model = ReferenceDeepseekOcr(directory)
    image = model.image(pixels[0], pixels[1:], 1, 2)
    ids = torch.tensor([0, 5, *[IMAGE] * len(image), 40, 41, 42])
    embeds = model.w["model.embed_tokens.weight"][ids]
    embeds[ids == IMAGE] = image
    logits = network(ids[None], pixels[:1], pixels[1:], [(1, 2)]).logits[0]
    torch.testing.assert_close(logits, model.logits(embeds), atol=1e-4, rtol=0)


def test_images_of_a_batch_have_the_features_they_have_alone(network: DeepseekOcrForConditionalGeneration) -> None:
    generator = torch.Generator().manual_seed(4)
    views = torch.randint(0, 256, (3, 3, 256, 256), generator=generator, dtype=torch.uint8)
    tiles = torch.randint(0, 256, (5, 3, 128, 128), generator=generator, dtype=torch.uint8)
    alone = [
        *network.image_features(views[:1], tiles[:2], [(2, 1)]),
        *network.image_features(views[1:2]),
        *network.image_features(views[2:], tiles[2:], [(1, 3)]),
    ]
    for chunk in (None, 2):
        together = network.image_features(views, tiles, torch.tensor([(2, 1), (1, 1), (1, 3)]), chunk=chunk)
        for one, other in zip(alone, together, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_in_half_precision_a_view_does_not_feel_how_many_others_there_are(directory: Path) -> None:
    views = torch.randint(0, 256, (5, 3, 128, 128), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    for dtype, expected in ((torch.bfloat16, [2, 2, 2, 2]), (torch.float32, [2, 2, 1, 1])):
        network, seen = load(directory, dtype=dtype), list[int]()
        tower = network.model.vision_tower
        tower.register_forward_pre_hook(lambda _, arguments, seen=seen: seen.append(len(arguments[0])))
        together = network.model.view_features(views, chunk=2)
        torch.testing.assert_close(
            together[4:], network.model.view_features(views[4:], chunk=2), rtol=0, atol=1e-5
        )
        assert seen == expected


def test_bytes_are_normalised_to_plus_and_minus_one(network: DeepseekOcrForConditionalGeneration) -> None:
    view = torch.arange(3 * 128 * 128, dtype=torch.int64).remainder(256).to(torch.uint8).view(1, 3, 128, 128)
    (of_bytes,) = network.image_features(view)
    (of_floats,) = network.image_features((view.float() / 255 - 0.5) / 0.5)
    assert torch.equal(of_bytes, of_floats)


def test_placeholders_and_features_must_agree(network: DeepseekOcrForConditionalGeneration) -> None:
    view = torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    with pytest.raises(ValueError, match="6 image placeholders for 7 image features"):
        network(torch.full((1, 6), IMAGE), view)
    with pytest.raises(ValueError, match="1 images and 1 tiles"):
        network.image_features(view, view, [(2, 1)])


def test_the_loss_is_of_the_answer_alone(network: DeepseekOcrForConditionalGeneration) -> None:
    ids = torch.tensor([[0, 10, 11, 12, 1], [0, 20, 21, 1, 1]])
    labels = torch.tensor([[-100, -100, 11, 12, 1], [-100, -100, 21, 1, -100]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    out = network(ids, attention_mask=mask, labels=labels)
    likelihoods = out.logits.log_softmax(-1)
    kept = [(0, 1, 11), (0, 2, 12), (0, 3, 1), (1, 1, 21), (1, 2, 1)]
    expected = -sum(likelihoods[row, place, token] for row, place, token in kept) / len(kept)
    torch.testing.assert_close(out.loss, expected)


def test_generation_continues_with_the_likeliest_token(network: DeepseekOcrForConditionalGeneration) -> None:
    view = torch.randint(0, 256, (1, 3, 128, 128), generator=torch.Generator().manual_seed(6), dtype=torch.uint8)
    ids = torch.tensor([[0, *[IMAGE] * 7, 30]])
    made = network.generate(ids, pixel_values=view, max_new_tokens=5, do_sample=False)
    for _ in range(5):
        ids = torch.cat([ids, network(ids, view).logits[:, -1:].argmax(-1)], dim=1)
    assert made.tolist() == ids.tolist()


def a_step(network: DeepseekOcrForConditionalGeneration) -> Tensor:
    view = torch.randint(0, 256, (2, 3, 128, 128), generator=torch.Generator().manual_seed(7), dtype=torch.uint8)
    ids = torch.tensor([[0, *[IMAGE] * 7, 30, 31, 1]] * 2)
    loss: Tensor = network(ids, view, labels=torch.where(ids < 30, -100, ids)).loss
    loss.backward()
    return loss


def test_gradients_reach_all_that_is_trained_and_nothing_that_is_frozen(directory: Path) -> None:
    network = load(directory).train()
    parts = network.parts()
    for frozen in ("sam", "compressor"):
        parts[frozen].requires_grad_(False)
    a_step(network)
    assert all(parameter.grad is None for name in ("sam", "compressor") for parameter in parts[name].parameters())
    unused = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == []
    for trained in ("clip", "projector", "decoder", "head"):
        assert any(parameter.grad.abs().max() > 1e-8 for parameter in parts[trained].parameters())


def test_parts_hold_every_parameter_once(network: DeepseekOcrForConditionalGeneration) -> None:
    parts = network.parts()
    assert list(parts) == ["sam", "compressor", "clip", "projector", "decoder", "head"]
    held = [id(parameter) for part in parts.values() for parameter in part.parameters()]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in network.parameters()}


def test_activation_checkpointing_changes_no_gradient(directory: Path) -> None:
    plain, checkpointed = load(directory).train(), load(directory).train()
    checkpointed.activation_checkpointing_enable()
    assert torch.equal(a_step(plain), a_step(checkpointed))
    for one, other in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft 0.21 asks by the old name
def test_a_merged_adapter_is_a_plain_checkpoint(directory: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = load(directory)
    adapted = get_peft_model(
        base, LoraConfig(target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    )
    adapted.eval()
    ids = torch.tensor([[0, 30, 31]])
    expected = adapted(input_ids=ids).logits
    save(adapted.merge_and_unload(), tmp_path)
    assert set(load_file(tmp_path / WEIGHTS)) == set(load_file(directory / WEIGHTS))
    torch.testing.assert_close(load(tmp_path)(ids).logits, expected, atol=1e-5, rtol=0)


def test_a_trainers_own_checkpoint_has_the_networks_own_names(directory: Path, tmp_path: Path) -> None:
    network = load(directory)
    network.save_pretrained(tmp_path)
    state = network.state_dict()
    assert set(load_file(tmp_path / "model.safetensors")) == set(state)
    again = DeepseekOcrForConditionalGeneration.from_pretrained(tmp_path)
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())
    assert again.config.published == network.config.published
