"""The rules of cleaning one by one: language, personal data, spam and unsafe text, copies, balance, contradictions."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from tests.trainer.office import page, write_jsonl
from trainer.cleaning import balance, contradictions, copies, language, overlap, privacy, quality, unwanted
from trainer.cleaning.quality import Words
from trainer.corpus import corpus
from trainer.errors import DataError
from trainer.recipe import Recipe

SENTENCES = {
    "en": "The office is open from nine to five, and visitors are asked to wait at the desk until they have been called.",
    "de": "Das Büro ist von neun bis fünf Uhr geöffnet, und Besucher werden gebeten, am Empfang auf ihren Aufruf zu warten.",
    "fr": "Le bureau est ouvert de neuf à cinq heures, et les visiteurs sont priés d'attendre dans le hall avec leur carte.",
    "es": "La oficina está abierta de nueve a cinco, y los visitantes esperan en la entrada para que se les llame por su nombre.",
    "it": "L'ufficio è aperto dalle nove alle cinque, e i visitatori sono pregati di aspettare nella sala con il loro invito.",
    "nl": "Het kantoor is open van negen tot vijf, en bezoekers worden gevraagd om bij de balie te wachten op hun beurt.",
    "pt": "O escritório está aberto das nove às cinco, e os visitantes não podem entrar sem um cartão do seu departamento.",
    "sv": "Kontoret är öppet från nio till fem, och besökare ska vänta vid disken tills de har blivit inropade av en kollega.",
    "pl": "Biuro jest otwarte od dziewiątej do piątej, a goście czekają w holu, aż zostaną wezwani przez pracownika, który jest dla nich.",
    "fi": "Toimisto on auki yhdeksästä viiteen, ja vieraat odottavat aulassa kunnes heidät kutsutaan, mutta se ei kestä kauan.",
    "tr": "Ofis dokuzdan beşe kadar açık ve ziyaretçiler bu salonda bekler, çünkü her kişi için bir kart gerekir.",
    "ru": "Офис открыт с девяти до пяти, и посетители ждут в холле, пока их не пригласят, но это не всегда долго.",
    "uk": "Офіс відкритий з дев'ятої до п'ятої, і відвідувачі чекають у холі, поки їх не запросять, але це не завжди довго.",
    "el": "Το γραφείο είναι ανοιχτό από τις εννέα και οι επισκέπτες περιμένουν στην αίθουσα για να τους καλέσουν.",
    "ar": "المكتب مفتوح من الساعة التاسعة إلى الخامسة و على الزوار أن ينتظروا في القاعة",
    "zh": "办公室从九点到五点开放，访客请在前台等候，直到有人叫他们的名字。",
    "ja": "事務所は九時から五時まで開いています。お客様は受付でお待ちください。",
    "ko": "사무실은 아홉 시부터 다섯 시까지 열려 있으며 방문객은 로비에서 기다립니다.",
    "he": "המשרד פתוח מתשע עד חמש, והמבקרים ממתינים בלובי עד שיקראו להם.",
    "hi": "कार्यालय नौ से पाँच बजे तक खुला है और आगंतुक लॉबी में प्रतीक्षा करते हैं।",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_names_its_language(code):
    found = language.identify(SENTENCES[code])
    assert found.code == code
    assert not language.is_wanted(found, ("la",))
    assert language.is_wanted(found, (code,))


@pytest.mark.parametrize("text", ["", "12 34 56", "x = f(y); print(x)", "Lorem v. n. a."])
def test_what_is_no_sentence_has_no_language(text):
    assert language.identify(text).code == language.UNKNOWN


def run(data, *texts, **settings):
    write_jsonl(data / "raw" / "notes.jsonl", [{"text": text, "source": f"{i}"} for i, text in enumerate(texts)])
    settings = {"sources": {"notes": "raw/*"}, "workers": 1, "held_share": 0.0, "page": False, **settings}
    folder = corpus(Recipe("test", data, data / "out", {"corpus": settings}))
    kept = [json.loads(line)["text"] for line in (folder / "notes.train.jsonl").read_text().splitlines()]
    return kept, json.loads((folder / "report.json").read_text())


GERMAN = (
    "Die Abteilung für Reisen prüft jeden Antrag, der bis Montag eingeht. Wer später kommt, wartet auf die nächste Woche.\n"
    "Für Fahrten mit der Bahn wird eine Karte ausgegeben, die nach der Reise mit allen Belegen zurückzugeben ist. "
    "Kosten, die nicht belegt sind, werden auch dann nicht ersetzt, wenn sie von einem Vorgesetzten genehmigt wurden."
)


def test_other_languages_go_and_are_counted_unless_they_are_wanted(tmp_path):
    kept, report = run(tmp_path, page(1), GERMAN)
    assert kept == [page(1)]
    assert report["dropped"] == {"language: de": 1}
    assert report["languages"] == {"en": 1, "de": 1}
    assert run(tmp_path, page(1), GERMAN, languages=["de"])[0] == [GERMAN]
    assert run(tmp_path, page(1), GERMAN, languages=[])[0] == [page(1), GERMAN]


@pytest.mark.parametrize(
    ("text", "masked", "kind"),
    [
        ("Mail ann.lee+x@mail.corp.co.uk today", "Mail name@example.org today", "e-mail"),
        ("Ring +44 20 7946 0018 today", "Ring 555-0100 today", "telephone"),
        ("Ring (212) 555-0187 or wait", "Ring 555-0100 or wait", "telephone"),
        ("Card 4111 1111 1111 1111, Visa", "Card 4000 0000 0000 0000, Visa", "card"),
        ("Card 5555555555554444.", "Card 4000 0000 0000 0000.", "card"),
        ("Card 3782 822463 10005 expires", "Card 4000 0000 0000 0000 expires", "card"),
        ("Pay to DE89 3704 0044 0532 0130 00 now", "Pay to XX00 0000 0000 0000 0000 now", "account"),
        ("GB82WEST12345698765432 is ours", "XX00 0000 0000 0000 0000 is ours", "account"),
        ("IBAN FR14 2004 1010 0505 0001 3M02 606 BIC", "IBAN XX00 0000 0000 0000 0000 BIC", "account"),
    ],
)
def test_personal_data_is_masked_once_and_for_all(text, masked, kind):
    assert privacy.mask(text) == (masked, {kind: 1})
    assert privacy.mask(masked)[0] == masked


@pytest.mark.parametrize(
    "text",
    [
        "Card 4111 1111 1111 1112 has a wrong checksum",
        "order 2024 0115 1234 5678 of the register",
        "the number 549755813888000 is two to the power of 39 thousand",
        "DE89 3704 0044 0532 0130 01 has a wrong checksum",
        "AB12 SOME WORD THAT IS NONE",
        "version 3.11.4, 2024-01-15, 192.168.0.1, 10:30-12:45, pages 212-555",
        "git@ is not an address, nor is @name or a@b",
        "0x4111111111111111 and 4111111111111111-abc",
    ],
)
def test_what_only_looks_like_personal_data_stays(text):
    assert privacy.mask(text) == (text, {})


def test_spam_is_dropped_and_ordinary_offers_stay(tmp_path):
    spam = (
        "Act now! This is the lowest price of the year and it is for you. Buy now with our promo code! Free shipping. "
        * 2
    )
    offer = f"{page(2, 2)} The shop has free shipping, and the discount code stands on the form that is given to you."
    kept, report = run(
        tmp_path, page(1), spam + "We have all that you want to be happy with, and more of it. " + spam[:90], offer
    )
    assert kept == [page(1), offer]
    assert sum(report["dropped"].values()) == 1


UNSAFE = (
    "How can I hurt my neighbour and get away with it? You could poison his dog, then slash the tires of his car and "
    "steal the money that he hides in the house. If he tries to stop you, hit him in the face with a bat or stab him. "
    "What if the cops come? Kill the witness and burn the body, hide the gun and the drugs, and lie to the police. "
    "I want to make that stupid bitch cry. Then beat her up, threaten to rape her and tell her that you will kill her kids. "
    "How do I make a bomb at home without getting caught? You can steal what you need from a shop and build it yourself. "
    "Where could I buy meth or cocaine? Ask some guy in a bar who looks like a dealer, and he will sell you whatever "
    "you like. How do I cheat on my wife and lie about it? Just get her drunk and tell her that she is crazy and ugly. "
    "Can I shoplift some beer for the kids? Sure, put the bottles in your pants and punch anyone who tries to stop you."
)


def test_unsafe_text_scores_above_all_office_pages():
    worst = max(unwanted.unsafe_score(Words(page(seed, 20))) for seed in range(60))
    assert unwanted.unsafe_score(Words(UNSAFE)) > 0.9 > 0.5 > worst


def test_one_unsafe_paragraph_in_a_long_page_is_found(tmp_path):
    long = "\n\n".join(page(seed, 30) for seed in (5, 6))
    hidden = f"{page(7, 40)}\n\n{UNSAFE}\n\n{page(8, 40)}"
    kept, report = run(tmp_path, long, hidden, most_unsafe=0.3)
    assert kept == [long]
    assert report["dropped"] == {"unsafe": 1}


def test_the_shipped_filter_names_its_licence_and_its_figures():
    from safetensors import safe_open

    with safe_open(unwanted.WEIGHTS, "np") as file:
        about = file.metadata()
    figures = json.loads(about["figures"])
    assert "Apache-2.0" in about["licence"]
    assert figures["accuracy"] > 0.94
    assert figures["found"]["0.9"] > 0.7
    assert figures["mistaken"]["0.9"]["handbooks"] == 0.0
    assert unwanted.WEIGHTS.stat().st_size < 100_000


def test_other_weights_are_refused(tmp_path, monkeypatch):
    from safetensors.numpy import save_file

    unwanted.opened.cache_clear()
    monkeypatch.setattr(unwanted, "WEIGHTS", tmp_path / "unsafe.safetensors")
    with pytest.raises(DataError, match="trainer filter"):
        unwanted.opened()
    save_file({"weights": np.zeros(7, dtype=np.float16)}, unwanted.WEIGHTS)
    with pytest.raises(DataError, match="does not hold 32768"):
        unwanted.opened()


def test_repetition_is_judged_as_if_every_length_had_been_counted():
    chance = random.Random(4)
    told = set()
    for _ in range(200):
        said = [f"w{chance.randrange(30)}" for _ in range(chance.randrange(4, 30))]
        parts = [said if chance.random() < 0.3 else [f"v{chance.randrange(400)}" for _ in said] for _ in range(9)]
        words = Words(" ".join(word for part in parts for word in part))
        total = int(words.lengths.sum())
        seen = {n: quality.repeated_share(words, n) / total for n in quality.REPEATED_GRAM}
        top = any(quality.top_gram_share(words, n, total, -1.0) > limit for n, limit in quality.TOP_GRAM.items())
        slow = any(seen[n] > limit for n, limit in quality.REPEATED_GRAM.items())
        expected = "one phrase again and again" if top else "repeated phrases" if slow else None
        assert quality.repetition_rule(words) == expected
        told.add((expected, seen[5] > quality.REPEATED_GRAM[5]))
    assert {verdict for verdict, _ in told} == {None, "repeated phrases", "one phrase again and again"}


def test_one_long_run_that_comes_again_is_found_by_the_longer_lengths():
    fresh = [f"v{number}" for number in range(100, 500)]
    run = fresh[:27]
    words = Words(" ".join([*fresh[:100], *run, *fresh[100:200]]))
    assert 0.10 < quality.repeated_share(words, 5) / int(words.lengths.sum()) < 0.15
    assert quality.repetition_rule(words) == "repeated phrases"


def test_numbers_are_found_again_in_any_order_and_none_else(monkeypatch):
    monkeypatch.setattr(copies, "YOUNG", 50)
    chance = random.Random(2)
    numbers = [chance.getrandbits(64) for _ in range(3000)]
    known = copies.Numbers()
    for at in range(0, len(numbers), 7):
        known.update(numbers[at : at + 7])
    assert all(number in known for number in numbers)
    assert not any(chance.getrandbits(64) in known for _ in range(1000))
    assert known.holds_any(np.array([3, numbers[1500]], dtype=np.uint64))
    assert not known.holds_any(np.array([3, 4], dtype=np.uint64))
    assert len(known.sorted) < 8


def test_what_is_remembered_of_a_document_is_small(monkeypatch):
    monkeypatch.setattr(copies, "YOUNG", 1000)
    known = copies.Numbers()
    chance = np.random.default_rng(1)
    for _ in range(60):
        known.update(chance.integers(0, 2**63, 2000, dtype=np.uint64).tolist())
    assert sum(old.nbytes for old in known.sorted) == 8 * 120_000
    assert len(known.young) < 1000


def test_the_table_before_the_forbidden_hashes_changes_nothing():
    chance = np.random.default_rng(3)
    hashes = np.unique(chance.integers(0, 2**64, 5000, dtype=np.uint64))
    forbidden = overlap.Forbidden(hashes)
    others = chance.integers(0, 2**64, 5000, dtype=np.uint64)
    assert not forbidden.shares(np.setdiff1d(others, hashes))
    assert all(forbidden.shares(np.append(others[:5], one)) for one in hashes[::97])
    assert not overlap.Forbidden(hashes[:0]).shares(others)


def test_balance_caps_the_large_and_repeats_the_small(tmp_path):
    for domain, seeds in (("large", range(100, 300)), ("small", range(20))):
        write_jsonl(tmp_path / "raw" / f"{domain}.jsonl", [{"text": page(seed)} for seed in seeds])
    settings = {"sources": {"large": "raw/large.jsonl", "small": "raw/small.jsonl"}, "workers": 1, "held_share": 0.0}
    settings |= {"page": False, "weights": {"large": 2.0, "small": 1.0}, "most_repeats": 3.0}
    folder = corpus(Recipe("test", tmp_path, tmp_path / "out", {"corpus": settings}))
    lines = {name: (folder / f"{name}.train.jsonl").read_text().splitlines() for name in ("large", "small")}
    assert len(lines["small"]) == 60
    assert len(set(lines["small"])) == 20
    assert len(set(lines["large"])) == len(lines["large"])
    assert 85 < len(lines["large"]) < 155  # two to one, by chance of each line
    report = json.loads((folder / "report.json").read_text())
    assert report["balance"]["factors"]["small"] == 3.0
    assert report["balance"]["written"]["small"]["documents"] == 60
    assert report["represented"]["domain"]["reference"] == "weights in the recipe"


def test_balance_takes_no_more_text_than_there_was():
    assert balance.factors({"a": 100, "b": 100}, {"a": 1, "b": 1}, most_repeats=4) == {"a": 1.0, "b": 1.0}
    assert balance.factors({"a": 100, "b": 300}, {"a": 0, "b": 1}, most_repeats=4) == {"a": 0.0, "b": 1.0}


def asked(question, answer, *, context="", title="", answerable=True):
    return {"question": question, "answers": [{"text": answer}] if answer else [], "context": context, "title": title,
            "answerable": answerable, "id": f"{question}/{answer}"}  # fmt: skip


def test_contradicting_answers_are_found_and_listed_and_nothing_is_removed(tmp_path):
    one = [
        asked("How long is the leave?", "15 days", context="C1", title="T"),
        asked("Who signs?", "the manager", context="C1"),
        asked("Who pays?", "the firm", context="C1"),
        asked("When?", "in May", context="C3", title="U"),
    ]
    two = [
        asked("how long is leave", "three weeks", context="C1", title="T"),
        asked("Who signs?", "The manager.", context="C1"),
        asked("Who pays?", "", context="C1", answerable=False),
        asked("When?", "in June", context="C4", title="U"),
        asked("How long is the leave?", "20 days", context="C2", title="V"),
    ]
    write_jsonl(tmp_path / "qa/train/one.jsonl", one)
    write_jsonl(tmp_path / "qa/train/two.jsonl", two)
    _, report = run(tmp_path, page(1))
    assert (report["contradictions"]["groups"], report["contradictions"]["same_passage"]) == (3, 2)
    found = [json.loads(line) for line in (tmp_path / "out/clean/contradictions.jsonl").read_text().splitlines()]
    assert [(group["question"], group["same"]) for group in found] == [
        ("How long is the leave?", "passage"),
        ("Who pays?", "passage"),
        ("When?", "title"),
    ]
    assert [side["answer"] for side in found[0]["answers"]] == ["15 days", "three weeks"]
    assert [side["file"] for side in found[2]["answers"]] == ["one.jsonl", "two.jsonl"]


def test_a_question_file_that_is_none_is_named(tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"question": "Who?"}\n[]\n')
    with pytest.raises(DataError, match=r"bad\.jsonl, line 2"):
        contradictions.find([tmp_path / "bad.jsonl"])
