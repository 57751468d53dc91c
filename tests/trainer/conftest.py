"""A small text of our own, a tokenizer learnt from it, and a real model in miniature."""

from __future__ import annotations

import pytest
import torch

from tests.trainer.office import page
from trainer import tokenizer
from trainer.model import ModelConfig, Transformer
from trainer.tokenizer import Tokenizer


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def words() -> Tokenizer:
    return tokenizer.train((page(seed) for seed in range(60)), vocabulary=512)


@pytest.fixture
def sizes(words: Tokenizer) -> ModelConfig:
    return ModelConfig(
        vocabulary=words.size, width=64, layers=2, heads=4, key_value_heads=2, head_width=16, hidden=96, context=256
    )


@pytest.fixture
def model(sizes: ModelConfig) -> Transformer:
    torch.manual_seed(3)
    return Transformer(sizes).eval()
