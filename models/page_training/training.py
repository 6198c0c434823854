"""One process's part of a fine-tuning: network, samples and transformers' Trainer put together.

    train_in_process(job, progress=..., should_stop=..., saved=...) -> TrainingResult | None

None in all processes but the first. AdamW under a warm-up and a cosine, over parts that are not frozen or over
adapters (peft), which are merged into the network at the end; bfloat16 where the device computes in it. What is
left is a plain checkpoint in the published layout, with our sidecar written last.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, Trainer, TrainingArguments

from flywheel.errors import Cancelled, SetupError
from flywheel.figures import ReadingSettings
from flywheel.recipes import PageRecipe
from models.checkpoint import Manifest, seal
from models.page_training.callback import PageTrainingState, TrainingCallback, newest_state
from models.page_training.dataset import PageDataset
from models.page_training.routing import RouterBalance, routers_of
from models.page_training.samples import TrainingSamples, validation_pages
from models.page_training.trainable import MASKED, TrainableReader, trainable_reader
from models.training.job import Progress, TrainingJob, TrainingResult
from models.training.schedule import effective_target, schedule

WAITING_SECONDS = 2 * 3600
WORKERS = 4  # processes that prepare batches ahead of a GPU


def train_in_process(
    job: TrainingJob,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    saved: Callable[[Path], None] = lambda _: None,
) -> TrainingResult | None:
    """Train to the end of the recipe's time, steps or target. Raises Cancelled when `should_stop` says so, with a
    complete training checkpoint behind it; Rejected(NO_LINES) when there is nothing to learn from."""
    recipe = job.recipe
    if not isinstance(recipe, PageRecipe):
        raise SetupError(f"recipe {recipe.name} is not of pages")
    _silence_libraries()
    dataset = PageDataset.open(job.dataset)
    transformers.set_seed(job.seed)  # adapters are drawn before the Trainer begins
    pages = dataset.training_pages(recipe.generations)
    samples = TrainingSamples(pages, recipe, job.seed)
    trainable = trainable_reader(recipe, _initial_weights(job))
    trainable.fine &= samples.grounded
    dataset_hash = job.dataset_hash or dataset.hash
    name = fingerprint(job, recipe, dataset_hash)
    found = newest_state(job.resume, name)
    state = found[1] if found else PageTrainingState(name)
    model, balance = _prepared(trainable, recipe)
    arguments = _arguments(job, recipe, samples)
    callback = TrainingCallback(
        trainable,
        recipe,
        samples,
        validation_pages(pages, recipe.validation_pages),
        state,
        steps=arguments.max_steps,
        target=effective_target(recipe.target_cer, job.parent),
        first=arguments.process_index == 0,
        progress=progress,
        should_stop=should_stop,
        saved=saved,
    )
    callback.seen = recipe.batch * recipe.accumulation * arguments.world_size
    trainer = PageTrainer(recipe, callback, trainable, balance, model=model, args=arguments, train_dataset=samples)
    trainer.train(resume_from_checkpoint=str(found[0]) if found else None)
    if callback.first_process_says(callback.cancelled):
        raise Cancelled(f"training stopped at step {trainer.state.global_step}")
    if arguments.process_index:
        return None
    callback.validate(trainer.state)
    last = callback.progress(trainer.state)
    progress(last)
    reading = replace(trainable.reader(limit=1, batch=1).reading, dpi=samples.dpi)
    if recipe.lora.rank:
        trainable.network = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    return _write_checkpoint(job, recipe, trainable, reading, balance, last, dataset_hash)


def _silence_libraries() -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)


class PageTrainer(Trainer):
    """transformers' Trainer with our samples, our schedule over time, and the callback beside it."""

    def __init__(
        self,
        recipe: PageRecipe,
        callback: TrainingCallback,
        trainable: TrainableReader,
        balance: RouterBalance | None,
        **kwargs: Any,
    ) -> None:
        self._recipe, self._callback, self._balance = recipe, callback, balance
        super().__init__(
            data_collator=lambda rows: blinded(
                trainable.batch(rows, recipe.length), recipe.blind, [row.seed for row in rows]
            ),
            callbacks=[callback],
            **kwargs,
        )
        self.remove_callback(PrinterCallback)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Follows the share of the run that is done, by steps or by time, whichever is further."""
        del num_training_steps
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(
                optimizer or self._adamw, lambda _: schedule(self._callback.share, self._recipe.warm_up)
            )
        return self.lr_scheduler

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        self._of_routers: Tensor | float = 0.0
        loss: Tensor = super().training_step(model, {**inputs, "use_cache": False}, num_items_in_batch)
        loss = loss - self._of_routers  # what is reported is of the words
        if self._balance is not None:
            self._balance.forget()
        self._callback.record_loss(loss * self.args.gradient_accumulation_steps)
        self._callback.rate = self._adamw.param_groups[0]["lr"]
        return loss

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The words' loss, and the routers' share of it in this pass of the step."""
        if self._balance is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        with self._balance.collecting(inputs["attention_mask"]):
            loss: Any = super().compute_loss(model, inputs, False, num_items_in_batch)
        of_routers = self._balance.loss() / self.current_gradient_accumulation_steps
        self._of_routers = of_routers.detach()
        return loss + of_routers

    @property
    def _adamw(self) -> Any:
        return self.optimizer


def blinded(batch: dict[str, Tensor], share: float, seeds: Sequence[int]) -> dict[str, Tensor]:
    """A batch with some of the answers' tokens hidden from the decoder, each by its first token's (the begin).

    A decoder that knows a text by heart after three letters has no reason to look; few pages are soon known by
    heart. The labels stay. Each row's seed decides, not torch's generator, which is dropout's: batches are made
    ahead of the steps that they are for, and a resumed run would go on with other numbers.
    """
    if share:
        width = batch["labels"].shape[1]
        drawn = torch.stack([torch.rand(width, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        hidden = (drawn < share) & (batch["labels"] != MASKED)
        batch["input_ids"] = torch.where(hidden, batch["input_ids"][:, :1], batch["input_ids"])
    return batch


def fingerprint(job: TrainingJob, recipe: PageRecipe, dataset_hash: str) -> str:
    """Names a run: a checkpoint of other data, parent, seed or trained parts is not resumed. Being given more
    time, or being watched more closely, does not make it another run."""
    shape = [recipe.architecture, recipe.mode, recipe.frozen, recipe.as_dict()["lora"], recipe.generations]
    shape.append(recipe.router_balance)
    parts = [dataset_hash, job.parent_id, job.language, job.seed, shape]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _initial_weights(job: TrainingJob) -> Path:
    """Directory of the weights to begin with."""
    start = job.parent or job.base
    if start is None:
        raise SetupError(f"recipe {job.recipe.name}: neither a parent nor published weights to begin with")
    return start


def _prepared(trainable: TrainableReader, recipe: PageRecipe) -> tuple[Any, RouterBalance | None]:
    """The network with its frozen parts frozen, or with adapters in its decoder and all else frozen; and the loss
    of its routers where they are trained. Without such a loss they are frozen, too."""
    network = trainable.network
    network.train()
    if recipe.lora.rank:
        return _with_adapters(network, recipe), None
    for name in recipe.frozen:
        trainable.parts()[name].requires_grad_(requires_grad=False)
    routers = routers_of(network)
    if not recipe.router_balance:
        for router in routers:
            router.requires_grad_(requires_grad=False)
    trained = [router for router in routers if router.weight.requires_grad]
    return network, RouterBalance(trained, recipe.router_balance) if trained else None


def _with_adapters(network: Any, recipe: PageRecipe) -> Any:
    import warnings

    from peft import LoraConfig, get_peft_model

    lora = recipe.lora
    matrices = "|".join(lora.targets)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=rf".*language_model\..*\.({matrices})",
    )
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5 for a name that is going
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted = get_peft_model(network, config)
    if recipe.gradient_checkpointing:  # else nothing that is frozen hands a gradient on
        adapted.enable_input_require_grads()
    return adapted


def _arguments(job: TrainingJob, recipe: PageRecipe, samples: TrainingSamples) -> TrainingArguments:
    on_cpu = job.device == "cpu"
    passes = recipe.batch * recipe.accumulation * max(1, job.processes)
    planned = math.ceil(recipe.epochs * len(samples) / passes) if recipe.epochs else recipe.steps
    return TrainingArguments(
        output_dir=str(job.resume),
        max_steps=min(recipe.steps, max(1, planned)),
        per_device_train_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip,
        bf16=recipe.bf16 and not on_cpu and torch.cuda.is_bf16_supported(),
        activation_checkpointing=recipe.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        use_cpu=on_cpu,
        ddp_backend="gloo" if on_cpu and job.processes > 1 else None,
        ddp_timeout=WAITING_SECONDS,  # the others wait while the first one validates
        # Experts that no token of a batch was sent to have no gradient.
        ddp_find_unused_parameters=True if job.processes > 1 else None,
        dataloader_num_workers=0 if on_cpu else WORKERS,
        dataloader_pin_memory=not on_cpu,
        remove_unused_columns=False,
        save_strategy="no",  # the callback says when
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=job.seed,
        data_seed=job.seed,
    )


def _write_checkpoint(
    job: TrainingJob,
    recipe: PageRecipe,
    trainable: TrainableReader,
    reading: ReadingSettings,
    balance: RouterBalance | None,
    last: Progress,
    dataset_hash: str,
) -> TrainingResult:
    """Write the checkpoint whole or not at all."""
    staging = job.out.with_name(f".{job.out.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    trainable.network.eval()
    trainable.save(staging)
    manifest = seal(
        staging,
        Manifest(
            architecture=recipe.architecture,
            config={"mode": recipe.mode},
            charset=(),
            language=job.language,
            scripts=job.scripts,
            dataset_hash=dataset_hash,
            parent=job.parent_id,
            recipe=recipe.name,
            reading=reading,
            scores={
                "validation_cer": last.cer,
                "steps": last.step,
                "seconds": last.seconds,
                "router_balance": balance.mean if balance is not None else None,  # 1: all experts alike
            },
        ),
    )
    shutil.rmtree(job.out, ignore_errors=True)
    staging.rename(job.out)
    return TrainingResult(job.out, manifest, recipe.architecture, last)
