"""Optimisers: matrices of one shape moved together move as each would alone; the learning rate's course."""

from __future__ import annotations

import pytest
import torch

from trainer.errors import RecipeError
from trainer.optim import OptimConfig, StackedMuon, build, factor


def test_stacked_matrices_move_as_each_would_alone():
    chance = torch.Generator().manual_seed(1)
    shapes = [(64, 48), (32, 96), (64, 48), (48, 48)]
    ones = [torch.nn.Parameter(torch.randn(shape, generator=chance)) for shape in shapes]
    others = [torch.nn.Parameter(weight.detach().clone()) for weight in ones]
    settings = {"lr": 0.02, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
    alone, stacked = torch.optim.Muon(ones, **settings), StackedMuon(others, **settings)
    for _ in range(4):
        for one, other in zip(ones, others, strict=True):
            one.grad = torch.randn(one.shape, generator=chance)
            other.grad = one.grad.clone()
        alone.step()
        stacked.step()
    for one, other in zip(ones, others, strict=True):
        assert torch.allclose(one, other, atol=1e-3)
    assert alone.state_dict()["state"].keys() == stacked.state_dict()["state"].keys()  # either goes on from the other


def test_matrices_go_to_muon_and_the_rest_to_adamw(model):
    muon, adamw = build(model, OptimConfig(optimiser="muon"))
    assert isinstance(muon, torch.optim.Muon)
    moved = {id(weight) for group in muon.param_groups for weight in group["params"]}
    names = {name for name, weight in model.named_parameters() if id(weight) in moved}
    assert names == {
        name for name, weight in model.named_parameters() if weight.ndim == 2 and name.startswith("layers.")
    }
    decays = {group["weight_decay"] for group in adamw.param_groups}
    assert decays == {0.0}


def test_the_rate_warms_up_stays_and_decays():
    config = OptimConfig(steps=100, warmup_share=0.1, decay_share=0.2)
    course = [factor(step, config) for step in range(100)]
    assert course[0] == pytest.approx(0.1)
    assert set(course[10:81]) == {1.0}
    assert course[80:] == sorted(course[80:], reverse=True)
    assert course[-1] == pytest.approx(0.05)


def test_an_unknown_optimiser_and_schedule_are_refused(model):
    with pytest.raises(RecipeError, match="optimiser is 'sgd'; use 'adamw' or 'muon'"):
        build(model, OptimConfig(optimiser="sgd"))
    with pytest.raises(RecipeError, match="schedule is 'steps'; use 'wsd' or 'cosine'"):
        factor(50, OptimConfig(schedule="steps"))
