"""Rivals in action retrieval: copying, counting on spatial codes, a CNN on the image pair."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor, nn

from ctvae.data.transitions import Transitions
from ctvae.nn import ImageEncoder
from ctvae.quant.vector import SlotVQ
from ctvae.randomness import scoped_seed


def scores(log_posterior: Tensor, action: Tensor) -> dict[str, object]:
    """Accuracy and log loss of a posterior.

    Args:
        log_posterior: ``(pairs, actions)`` normalised.
        action: True actions.

    Returns:
        ``action_accuracy`` and ``action_nll``.
    """
    right = log_posterior.argmax(1) == action
    nll = -log_posterior.gather(1, action[:, None]).mean()
    return {"action_accuracy": float(right.double().mean()), "action_nll": float(nll)}


def copying(test: Transitions) -> dict[str, object]:
    """Nothing moves, so every action is as likely as any other.

    Args:
        test: Test pairs.

    Returns:
        Scores, and the squared error of predicting the image after by the image before.
    """
    images, count = test.images.float(), len(test.actions)
    error = (images[test.before] - images[test.after]).square().mean()
    return {
        "method": "copying",
        "action_accuracy": 1 / count,
        "action_nll": math.log(count),
        "squared_error": float(error),
    }


def inverse_model(train: Transitions, *, seed: int, steps: int = 1100) -> ImageEncoder:
    """Trains a CNN to classify the action from the two images.

    Args:
        train: Training pairs.
        seed: For weights and batches.
        steps: Optimizer steps of 75 pairs: as many as the slots get.

    Returns:
        The network, for two images stacked along their channels.
    """
    channels, size = train.images.shape[1], train.images.shape[2]
    generator = torch.Generator().manual_seed(seed)
    with scoped_seed(seed):
        model = ImageEncoder(2 * channels, size, len(train.actions))
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(train), (75,), generator=generator)
        both = _stacked(train.images[train.before[rows]], train.images[train.after[rows]])
        loss = nn.functional.cross_entropy(model(both), train.action[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def inverse_logits(model: ImageEncoder, before: Tensor, after: Tensor) -> Tensor:
    """Scores the actions between images.

    Args:
        model: From ``inverse_model``.
        before: Images before.
        after: Images after.

    Returns:
        ``(pairs, actions)`` logits.
    """
    parts = zip(before.split(1024), after.split(1024), strict=True)
    return torch.cat([model(_stacked(*part)) for part in parts])


def _stacked(before: Tensor, after: Tensor) -> Tensor:
    both = torch.cat([before, after], 1)
    return both.float() / 255 if both.dtype == torch.uint8 else both


def inverse_dynamics(
    train: Transitions, test: Transitions, *, seed: int, steps: int = 1100
) -> dict[str, object]:
    """A CNN classifies the action from the two images; as many steps and pairs as the slots got.

    Args:
        train: Training pairs.
        test: Test pairs.
        seed: For weights and batches.
        steps: Optimizer steps of 75 pairs.

    Returns:
        Scores.
    """
    begun = time.process_time()
    model = inverse_model(train, seed=seed, steps=steps)
    logits = inverse_logits(model, test.images[test.before], test.images[test.after])
    return {
        "method": "CNN on the image pair",
        **scores(logits.log_softmax(1), test.action),
        "cpu_seconds": time.process_time() - begun,
    }


class SpatialVQ(nn.Module):
    """A convolutional autoencoder whose 4x4 grid shares one codebook.

    Args:
        channels: Image channels.
        codes: The size of the codebook.
        seed: For weights and codebook.
    """

    def __init__(self, channels: int, codes: int, seed: int) -> None:
        super().__init__()
        with scoped_seed(seed):
            self.encoder = nn.Sequential(
                nn.Conv2d(channels, 32, 4, 2, 1),
                nn.ReLU(),
                nn.Conv2d(32, 64, 4, 2, 1),
                nn.ReLU(),
                nn.Conv2d(64, 64, 4, 2, 1),
                nn.ReLU(),
                nn.Conv2d(64, 32, 1),
            )
            self.decoder = nn.Sequential(
                nn.Conv2d(32, 64, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(64, 64, 4, 2, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(64, 32, 4, 2, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(32, channels, 4, 2, 1),
            )
        self.quantizer = SlotVQ([codes], 32, seed=seed)

    def codes(self, images: Tensor) -> Tensor:
        """Reads codes.

        Args:
            images: ``(batch, channels, 32, 32)``.

        Returns:
            ``(batch, 16)``.
        """
        features = self.encoder(images).permute(0, 2, 3, 1).reshape(-1, 1, 32)
        return self.quantizer.quantize(features).reshape(len(images), 16)


def counting_on_spatial_codes(
    train: Transitions, test: Transitions, *, seed: int, steps: int = 1100, codes: int = 32
) -> dict[str, object]:
    """Tables p(after | before, position, action) on the codes of a spatial VQ autoencoder.

    Exact Bayes over actions, positions independent, prior count .1.

    Args:
        train: Training pairs; their images train the autoencoder.
        test: Test pairs.
        seed: For weights, codebook and batches.
        steps: Optimizer steps of 64 images.
        codes: The size of the codebook.

    Returns:
        Scores, with the mean number of codes that one action changes.
    """
    begun = time.process_time()
    model = SpatialVQ(train.images.shape[1], codes, seed)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    used = train.used_images()
    for step in range(steps):
        images = train.images[used[torch.randint(len(used), (64,), generator=generator)]]
        features = model.encoder(images).permute(0, 2, 3, 1)
        flat = features.reshape(-1, 1, 32)
        found = model.quantizer(flat)
        drawn = model.decoder(found.vectors.reshape(features.shape).permute(0, 3, 1, 2))
        loss = nn.functional.binary_cross_entropy_with_logits(drawn, images, reduction="sum")
        total = loss / len(images) + 16 * 0.25 * found.loss
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        model.quantizer.update(flat.detach(), found.codes, seed=step)
    model.eval()
    with torch.no_grad():
        read = torch.cat([model.codes(part) for part in train.images.split(512)])
    return {
        "method": "counting on spatial codes",
        **counting(read, train, test, codes=codes),
        "cpu_seconds": time.process_time() - begun,
    }


def counting(
    read: Tensor, train: Transitions, test: Transitions, *, codes: int
) -> dict[str, object]:
    """Tables p(after | before, slot, action) on given codes, prior count .1.

    Exact Bayes over actions, slots independent.

    Args:
        read: ``(images, slots)`` codes of the pool.
        train: Training pairs.
        test: Test pairs.
        codes: The number of codes of every slot.

    Returns:
        Scores, with the mean number of codes that one action changes.
    """
    tables = _tables(read[train.before], train.action, read[train.after], len(train.actions), codes)
    before, after = read[test.before], read[test.after]
    slot = torch.arange(read.shape[1])
    log_likelihood = tables[:, slot, before, after].sum(-1).T
    return {
        **scores(log_likelihood.log_softmax(1), test.action),
        "slots_changed": float((before != after).double().sum(1).mean()),
    }


def _tables(before: Tensor, action: Tensor, after: Tensor, actions: int, codes: int) -> Tensor:
    slots = before.shape[1]
    index = (action[:, None] * slots + torch.arange(slots)) * codes + before
    cells = (index * codes + after).reshape(-1)
    counts = torch.bincount(cells, minlength=actions * slots * codes**2).double()
    smoothed = counts.reshape(actions, slots, codes, codes) + 0.1
    return (smoothed / smoothed.sum(-1, keepdim=True)).log()
