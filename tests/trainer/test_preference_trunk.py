"""Preference training of the trunk: KTO and DPO on what it speaks, and rewards for quotations that are exact."""

from __future__ import annotations

import copy

import pytest
import torch

from trainer import chat, recipe
from trainer.chat import Source
from trainer.model import ModelConfig, Transformer
from trainer.preference import PreferenceConfig, prefer, rl
from trainer.preference.pairs import Act, Asked, Preference, asked
from trainer.preference.policy import Reference, tensors
from trainer.preference.rewards import Task, checks, task, worth
from trainer.preference.token_policy import TOO_LONG, TokenPolicy
from trainer.preference.tuning import learn
from trainer.rows import ReadingRow

EXACT, ALTERED = "Count 27 keys by hand.", "Count 31 keys by hand."
PLACES = ("the old mill", "the north depot")
SETTINGS = {"precision": "fp32", "device": "cpu", "checkpoint_every": 5, "warmup_share": 0.0}


def row(place: str) -> ReadingRow:
    """A question with its source; what is said of another place is a near miss."""
    text = f"At {place}: {EXACT}"
    start = text.index("27")
    return ReadingRow(
        f"How many keys at {place}?", (("", text), ("", "Guests pack vans.")), ((start, start + 2),), "office"
    )


def acts(words, gold: int) -> list[Act]:
    """One answer whose quotation is exact, one whose quotation is not."""
    found = []
    for said in (EXACT, ALTERED):
        ids = chat.spoken("27 keys", [(gold + 1, said)], words)
        found.append(Act("27 keys", quotes=((str(gold + 1), said),), ids=ids))
    return found


@pytest.fixture(scope="module")
def start(words):
    """A trunk that quotes exactly about every second time."""
    torch.manual_seed(1)
    sizes = ModelConfig(
        vocabulary=words.size, width=48, layers=1, heads=2, key_value_heads=1, head_width=24, hidden=96, context=160
    )
    model = Transformer(sizes)
    policy = TokenPolicy(words, 160, spoken_tokens=32, mismatched=False)
    tasks = [task(row(place), most=2) for place in PLACES]
    encoded = [policy.encode(Asked(t.question, t.sources, tuple(acts(words, t.gold)))) for t in tasks]
    arrays = tensors(policy.collate(encoded)[0])
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(500):
        optimiser.zero_grad()
        chances = policy.compare(*[policy.look(model, arrays)] * 2, arrays).chances
        if float(chances.detach().min()) > -0.8:  # each of the two has at least 0.45
            break
        (-chances.mean()).backward()
        optimiser.step()
    return model.eval(), policy, tasks, encoded


def share_of_exact(model: Transformer, start) -> float:
    _, policy, tasks, encoded = start
    torch.manual_seed(0)
    drawn = policy.sample(model, encoded, 12)
    found = [checks(t, act)["quotation"] for t, some in zip(tasks, drawn, strict=True) for act in some]
    return sum(found) / len(found)


def test_checks_tell_exact_quotations_right_citations_and_refusals_apart(words):
    asking = task(row(PLACES[0]), most=2)
    assert asking.sources[asking.gold].text.endswith(EXACT)
    exact, altered = acts(words, asking.gold)
    assert checks(asking, exact) == {"refusal": 1, "quotation": 1, "citation": 1, "words": pytest.approx(2 / 3)}
    assert checks(asking, altered)["quotation"] == 0
    wrong = exact._replace(quotes=((str(2 - asking.gold), "Guests pack vans."),))
    assert (checks(asking, wrong)["quotation"], checks(asking, wrong)["citation"]) == (1, 0)
    assert set(checks(asking, Act("")).values()) == {0}
    nothing = Task("q", asking.sources, -1, ())
    assert (checks(nothing, Act("")), checks(nothing, exact)) == ({"refusal": 1}, {"refusal": 0})
    weights = {"refusal": 1.0, "quotation": 1.0, "preferred": 0.5}
    assert worth([asking], [[exact, altered]], weights) == [[2, 1]]
    assert worth([asking], [[exact, altered]], weights, lambda texts: [0.0, 4.0][: len(texts)]) == [[2, 3]]


@pytest.mark.slow  # a trunk is taught first
def test_what_a_trunk_speaks_is_as_likely_as_its_tokens_one_by_one(start, words):
    model, policy, tasks, encoded = start
    arrays = tensors(policy.collate(encoded[:2])[0])
    with torch.no_grad():
        seen = policy.look(model, arrays)
        found = policy.compare(seen, seen, arrays)
        prompt, said = encoded[0].prompt, encoded[0].spoken[0]
        total = 0.0
        for at, token in enumerate(said):
            ids = torch.tensor([[*prompt, *said[:at]]])
            allowed = torch.ones(1, 1, ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
            allowed[..., : len(prompt), : len(prompt)] = True
            state = model(ids, allowed=allowed)[0, -1]
            total += float(model.logits(state).log_softmax(-1)[token])
    assert float(found.chances[0]) == pytest.approx(total, abs=1e-3)
    assert found.divergence.tolist() == pytest.approx([0, 0], abs=1e-5)
    heard = policy.heard(said)
    assert (heard.words, heard.quotes) == ("27 keys", ((str(tasks[0].gold + 1), EXACT),))
    assert policy.heard(chat.refused(words)).words == ""
    assert TokenPolicy(words, 64).encode(Asked("q " * 200, (Source("", "t"),) * 8, ())) == TOO_LONG


@pytest.mark.slow  # half a minute: a trunk is taught, then reinforced
def test_reinforcement_raises_the_share_of_exact_quotations_within_its_limit(start, tmp_path):
    model, policy, tasks, _ = copy.deepcopy(start[0]), *start[1:]
    before = share_of_exact(model, start)
    assert 0.2 < before < 0.8
    config = rl.ReinforceConfig(
        **SETTINGS, steps=24, peak_learning_rate=5e-4, most_kl=2.0, kl_weight=0.0, samples=6, weights={"quotation": 1.0}
    )
    _, report = rl.learn(model, policy, tasks, config, folder=tmp_path / "free", held=tasks)
    assert share_of_exact(model, start) > before + 0.2
    assert report["after"]["quotation"] > report["before"]["quotation"]
    assert report["within_limit"]
    close = copy.deepcopy(start[0])
    bound = rl.ReinforceConfig(**vars(config) | {"most_kl": 0.05})
    _, narrow = rl.learn(close, policy, tasks, bound, folder=tmp_path / "bound", held=tasks)
    assert narrow["after"]["kl"] < min(0.2, 0.5 * report["after"]["kl"])


@pytest.mark.slow  # the same run three times
def test_a_stopped_reinforcement_goes_on_with_the_same_draws(start, tmp_path):
    model, policy, tasks, _ = start
    config = rl.ReinforceConfig(**SETTINGS | {"checkpoint_every": 2}, steps=4, questions_per_step=1, samples=2)
    straight, stopped, resumed = (copy.deepcopy(model) for _ in range(3))
    rl.learn(straight, policy, tasks, config, folder=tmp_path / "straight", held=tasks[:1])
    paused = rl.ReinforceConfig(**vars(config) | {"minutes": 1e-9})
    assert rl.learn(stopped, policy, tasks, paused, folder=tmp_path / "stopped", held=tasks[:1])[1] is None
    assert rl.learn(resumed, policy, tasks, config, folder=tmp_path / "stopped", held=tasks[:1])[1] is not None
    for name, weight in straight.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


@pytest.mark.slow  # a trunk is taught first
@pytest.mark.parametrize("kind", ["thumb", "pair"])
def test_a_trunk_says_less_of_what_people_thumbed_down(start, tmp_path, kind, words):
    model, policy, tasks, _ = copy.deepcopy(start[0]), TokenPolicy(words, 160, spoken_tokens=32), *start[2:]
    sources = tuple((source.heading, source.text) for source in tasks[0].sources)
    chosen = "31 keys" if kind == "pair" else None
    preferences = [Preference(t.question, sources, chosen, "27 keys") for t in tasks[:2]]
    config = PreferenceConfig(**SETTINGS, steps=6, peak_learning_rate=1e-3, beta=0.1, most_kl=5.0)
    figures = learn(model, policy, preferences, config, folder=tmp_path).figures
    after = figures["learnt"]["after"]
    assert figures["used"] == {"pair" if chosen else "down": 2}
    assert after["margin"] > 0.5 if chosen else after["down_gain"] < -0.5


@pytest.mark.slow
def test_the_point_of_thumbs_is_estimated_from_the_next_questions_answer(start, words):
    model, policy = start[0], TokenPolicy(words, 160, spoken_tokens=32)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.embed.weight.mul_(0.9)
    preferences = [Preference(q, (("", EXACT),), said, None) for q, said in (("How many?", "27 keys"), ("By?", "hand"))]
    encoded = [policy.encode(asked(each, most=1)) for each in preferences]
    arrays = tensors(policy.collate(encoded)[0])
    swapped = tensors(policy.collate([policy.with_acts(encoded[0], encoded[1].asked.acts)])[0])
    with torch.no_grad():
        found = policy.compare(policy.look(model, arrays), Reference(other).look(policy, arrays), arrays)
        known = policy.compare(policy.look(model, swapped), Reference(other).look(policy, swapped), swapped)
    assert len(arrays["ids"]) == 4
    assert len(found.gain) == 2
    assert float(known.gain[0]) != pytest.approx(float(found.gain[0]))


def test_a_place_that_holds_no_model_is_refused(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"question": "q", "sources": [["", "t"]], "chosen": "t", "rejected": null}\n')
    sections = {"preference": {"model": str(tmp_path), "preferences": [str(tmp_path / "p.jsonl")]}}
    with pytest.raises(Exception, match="neither the model folder"):
        prefer.prefer(recipe.Recipe("x", tmp_path, tmp_path, sections))
