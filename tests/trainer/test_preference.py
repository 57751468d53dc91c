"""KTO and DPO on readers whose right outcome is known: mass moves from the words thumbed down to those beside them."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from rag.answer import REFUSAL
from tests.trainer.preferring import ONE, OTHER, QUESTION, TEXT, likely, preference, undecided
from trainer.chat import Source
from trainer.errors import CheckpointError, DataError
from trainer.preference import Preference, PreferenceConfig, pairs, read, tune
from trainer.preference.kto import class_weights, kto_loss
from trainer.preference.pairs import asked
from trainer.preference.policy import Reference, tensors
from trainer.preference.span_policy import NOWHERE, SpanPolicy
from trainer.preference.tuning import Batches, Preferring, usable

SETTINGS = {"precision": "fp32", "device": "cpu", "steps": 12, "peak_learning_rate": 3e-4, "checkpoint_every": 5}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    three = asked(preference(ONE, OTHER), most=1)
    three = three._replace(acts=(*three.acts, pairs.Act("")))
    return undecided(tmp_path_factory.mktemp("undecided") / "bert", three)


@pytest.fixture
def own(reader):
    return copy.deepcopy(reader)


def test_words_are_found_as_the_product_says_them():
    text = "Guests\nmay park. Yes, and the fee is 5 pounds;\n- Bring a badge\n- Leave the key"
    sources = [Source("", "Nothing here."), Source("Parking", text)]

    def found(words: str) -> list[str]:
        return [text[start:end] for number, start, end in pairs.places(words, sources) if number == 1]

    assert found("The fee is 5 pounds.") == ["the fee is 5 pounds"]
    assert found("Yes. Guests may park.") == ["Guests\nmay park"]
    assert found("- Bring a badge\n- Leave the key") == ["Bring a badge\n- Leave the key"]
    assert found("Leave the key.\nThe fee is 5 pounds.") == ["Leave the key", "the fee is 5 pounds"]
    assert found("The fee is 5 pound.") == []  # half a word
    assert found("Leave the key.\nThe fee is 6 pounds.") == []  # one line stands nowhere
    assert pairs.act_of(REFUSAL, sources) == pairs.Act("")
    assert pairs.REFUSAL == REFUSAL


def test_what_names_no_words_of_its_sources_is_counted_and_left_out(own, tmp_path):
    policy = SpanPolicy(own.encoder)
    taught, out = usable([preference(ONE, None), preference(ONE, "Pigs fly."), preference(None, REFUSAL)], policy, 4)
    assert [each.kind for each in taught] == ["up", "down"]
    assert out == {NOWHERE: 1}
    with pytest.raises(DataError, match=NOWHERE):
        tune(own, [preference("Pigs fly.", None)], PreferenceConfig(**SETTINGS), folder=tmp_path)


def test_all_acts_of_a_question_have_probability_one_and_the_divergence_counts_them_all(own):
    policy = SpanPolicy(own.encoder)
    asking = pairs.Asked(QUESTION, (Source("Keys", TEXT), Source("", "Count them.")), ())
    encoded = policy.encode(asking)
    acts = [pairs.Act("")]
    for number, source in enumerate(asking.sources):
        ends = [at for at in encoded.pairs[number][2] if at]
        acts += [
            pairs.Act(source.text[a:d], ((number, a, d),), exact=True)
            for i, (a, _) in enumerate(ends)
            for _, d in ends[i:]
        ]
    arrays = tensors(policy.collate([policy.with_acts(encoded, acts)])[0])
    with torch.no_grad():
        seen = policy.look(own, arrays)
        assert float(policy.chances(seen, arrays).logsumexp(0)) == pytest.approx(0, abs=1e-4)
        other = copy.deepcopy(own)
        for weight in other.parameters():
            weight.mul_(0.8)
        found = policy.compare(seen, Reference(other).look(policy, arrays), arrays)
        counted = float((found.chances.exp() * found.gain).sum())
        assert counted > 0.01
        assert found.divergence.tolist() == [pytest.approx(counted, rel=1e-3)]
        assert float(found.point) == pytest.approx(counted, rel=1e-3)
        torch.manual_seed(0)
        drawn = policy.sample(own, [encoded], 300)[0]
        assert sum(not act.words for act in drawn) / 300 == pytest.approx(float(seen.null.exp()), abs=0.1)
        assert all(act.words == asking.sources[n].text[a:b] for act in drawn for n, a, b in act.places)
        _, support, found = own.read(QUESTION, asking.sources)
    assert float(seen.null.exp()) == pytest.approx(1 - support, abs=1e-4)  # as it serves
    best = policy.with_acts(encoded, [pairs.Act("x", ((found[0].source, found[0].start, found[0].end),), exact=True)])
    arrays = tensors(policy.collate([best])[0])
    with torch.no_grad():
        chance = float(policy.chances(policy.look(own, arrays), arrays).exp())
    assert chance >= found[0].score * 0.99  # serving also gives shares to ends before their starts


def test_a_thumb_down_moves_probability_to_the_words_beside(own, tmp_path):
    before = likely(own, ONE, OTHER)
    tuned = tune(own, [preference(None, ONE)], PreferenceConfig(**SETTINGS), folder=tmp_path)
    after = likely(own, ONE, OTHER)
    assert before == pytest.approx([0.33, 0.33], abs=0.06)
    assert after[0] < 0.7 * before[0]
    assert after[1] > before[1]  # the rest may go to the refusal
    assert tuned.done
    assert tuned.figures["used"] == {"down": 1}
    assert tuned.figures["learnt"]["before"]["down_gain"] == pytest.approx(0, abs=1e-3)
    assert tuned.figures["learnt"]["after"]["down_gain"] < -0.3


@pytest.mark.slow  # two runs
def test_a_choice_grows_its_margin_and_stays_near_the_reference(own, tmp_path):
    def chosen(most_kl: float) -> dict[str, float]:
        model, folder = copy.deepcopy(own), tmp_path / str(most_kl)
        config = PreferenceConfig(**SETTINGS | {"steps": 30, "most_kl": most_kl})
        found: dict[str, float] = tune(model, [preference(OTHER, ONE)], config, folder=folder).figures["learnt"][
            "after"
        ]
        return found

    free, bound = chosen(10.0), chosen(0.1)
    assert free["ahead"] == bound["ahead"] == 1
    assert free["margin"] > 2
    assert free["kl"] > 0.5
    assert 0.3 < bound["margin"] < free["margin"]
    assert bound["largest_kl"] < 0.15


def test_people_who_choose_the_refusal_are_refused_more_often(own, tmp_path):
    refused, said = likely(own, REFUSAL, ONE)
    tune(own, [preference(REFUSAL, ONE)], PreferenceConfig(**SETTINGS), folder=tmp_path)
    after = likely(own, REFUSAL, ONE)
    assert after[0] > refused
    assert after[0] / after[1] > 1.3 * refused / said


def test_nine_thumbs_up_do_not_drown_one_down(own):
    """Each question has a thumb; the pull on those up and that on the one down have the same size."""
    thumbs = [preference(OTHER, None, f"{QUESTION} {n}") for n in range(9)] + [preference(None, OTHER, f"{QUESTION} x")]
    policy, config = SpanPolicy(own.encoder), PreferenceConfig(questions_per_step=10)
    batch = Batches(usable(thumbs, policy, 1)[0], policy, config, None).batch(list(range(10)))
    weight = batch.arrays["weight"]
    assert weight[:9].sum() == pytest.approx(weight[9]) == pytest.approx(5)
    assert class_weights([True] * 999 + [False], most=10)[-1] == 10
    gain = torch.zeros(10, requires_grad=True)
    kto_loss(
        gain, torch.tensor(batch.arrays["good"]), point=torch.tensor(0.0), weight=torch.tensor(weight), beta=0.5
    ).backward()
    assert float(gain.grad.sum()) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        losses = Preferring(policy, Reference(copy.deepcopy(own)), config)(own, tensors(batch.arrays), "preferred")
    assert float(losses["kto"]) == pytest.approx(weight.sum() / 2, abs=0.01)  # nothing was gained yet
    assert float(losses["beyond"]) == 0


def test_a_bundles_preferences_are_read_and_a_wrong_line_is_named(tmp_path):
    path = tmp_path / "preferences.train.jsonl"
    row = {
        "question": "q",
        "sources": [["Keys", "27 keys"]],
        "chosen": "27 keys",
        "rejected": None,
        "id": "7",
        "page": 1,
    }
    path.write_text(json.dumps(row) + "\n")
    assert read([path]) == [Preference("q", (("Keys", "27 keys"),), "27 keys", None, "7")]
    for wrong in ({"chosen": None}, {"rejected": "27 keys"}, {"sources": []}, {"sources": [["Keys"]]}):
        path.write_text(json.dumps(row) + "\n" + json.dumps(row | wrong) + "\n")
        with pytest.raises(DataError, match="line 2"):
            read([path])


@pytest.mark.slow  # three runs
def test_a_run_that_was_stopped_ends_with_the_same_bits_and_refuses_other_preferences(own, tmp_path):
    rows = [preference(OTHER, ONE), preference(None, ONE, "How many keys?"), preference(OTHER, None, "Keys in winter?")]
    config = PreferenceConfig(**SETTINGS | {"steps": 6, "questions_per_step": 2, "checkpoint_every": 2})
    straight, stopped = copy.deepcopy(own), copy.deepcopy(own)
    tune(straight, rows, config, folder=tmp_path / "straight")
    paused = PreferenceConfig(**vars(config) | {"minutes": 1e-9})
    first = tune(stopped, rows, paused, folder=tmp_path / "stopped")
    assert not first.done
    with pytest.raises(CheckpointError, match="preferences"):
        tune(copy.deepcopy(own), rows[:2], config, folder=tmp_path / "stopped")
    resumed = copy.deepcopy(own)
    assert tune(resumed, rows, config, folder=tmp_path / "stopped").done
    for name, weight in straight.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name
