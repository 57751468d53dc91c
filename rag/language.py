"""Which language a text is written in, so that nobody takes what the model makes of it for more than it is.

Takes   a text of any length.
Gives   the English name of its language, "" where nothing speaks against the model's own, and the sentences that say so
        to people: the retriever and the reader learnt English, other languages are found and quoted all the same.
Method  the script decides where only one common language uses it, small words decide among languages in Latin and
        Cyrillic letters. What is short or undecided counts as English: a wrong warning costs trust as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

SAMPLE = 40_000  # characters that are looked at, in equal parts from the whole text
_PARTS = 20
_SCRIPT_SHARE = 0.3  # of the letters
_SHARE = {"Japanese": 0.1}  # its own letters stand between Chinese ones
_FEWEST_LETTERS = 6  # of another script
_FEWEST = {"Cyrillic": 12, "Greek": 20}  # letters of formulas
_FEWEST_WORDS = 12  # in Latin letters; fewer words decide nothing
_FEWEST_HITS = 3  # different small words of the language
_HIT_SHARE = 0.1  # of all words; running text of a language has 0.25 and more
_AHEAD = 2.0  # times the small words of English

_SCRIPTS = {
    "Japanese": re.compile(r"[\u3040-\u30ff]"),
    "Korean": re.compile(r"[\u1100-\u11ff\uac00-\ud7af]"),
    "Chinese": re.compile(r"[\u4e00-\u9fff\u3400-\u4dbf]"),
    "Arabic": re.compile(r"[\u0600-\u06ff\u0750-\u077f]"),
    "Hebrew": re.compile(r"[\u05d0-\u05ea]"),
    "Greek": re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]"),
    "Cyrillic": re.compile(r"[\u0400-\u04ff]"),
    "Thai": re.compile(r"[\u0e00-\u0e7f]"),
    "Hindi": re.compile(r"[\u0900-\u097f]"),
    "Bengali": re.compile(r"[\u0980-\u09ff]"),
    "Tamil": re.compile(r"[\u0b80-\u0bff]"),
    "Georgian": re.compile(r"[\u10a0-\u10ff]"),
    "Armenian": re.compile(r"[\u0530-\u058f]"),
}
_ASCII = re.compile(r"[\x00-\x7f]+")
# Accents, Hebrew points, Arabic vowel signs and the stroke that only lengthens a word.
_MARKS = re.compile(r"[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u065f\u0670]+")
# Chinese characters, kana, Hangul (its particles cling to its words), Thai, Lao, Burmese and Khmer.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")

# Words that other languages here hardly use; those that English writes the same way are left out.
_SMALL = {
    "English": "the of and to is that for it with as be are this by or not from at which will have has must may you",
    "German": "der die das und ist nicht ein eine einen mit für auf dem den des im von zu sich werden wird auch bei",
    "French": "le la les des et est une dans pour que qui ne pas sur avec par au aux du ce cette sont vous être ou",
    "Spanish": "el los las es una en para que por con del se no su al como más son está este esta lo",
    "Portuguese": "os as uma em para que por com do da dos das não se ao seu sua mais como são você",
    "Italian": "il lo gli una di che per con del della dei delle non si sono nel alla più come questo da",
    "Dutch": "de het een en van ik te dat niet zijn met voor op aan er ook naar worden wordt bij uit deze moet",
    "Swedish": "och att det som en på är av för med till den inte har om ett var från kan ska eller vid",
    "Danish": "og at det som en på er af for med til den ikke har om et fra kan skal eller ved være blive",
    "Norwegian": "og det som en på er av for med til den ikke har om et fra kan skal eller ved være bli",
    "Polish": "nie na się do jest że to jak po od za przez oraz lub są być dla tego które może",
    "Czech": "se na je že to do jako pro jsou od po nebo být není které také jeho když",
    "Turkish": "ve bir bu için ile de da olarak olan çok daha en gibi kadar ne var değil veya her sonra",
    "Finnish": "ja on ei että se oli ovat tai joka kun myös voi mukaan sekä ole jos niin kuin ennen",
    "Hungarian": "az és hogy nem egy is van meg ez csak vagy ha azt mint már volt lehet kell",
    "Romanian": "și în de la cu nu este pe care pentru din să se mai sau sunt fi au prin",
    "Russian": "и в не на что с по как это к из от для за или у но его при также все быть",
    "Ukrainian": "і в не на що з та до як це у за від для або при також його є бути має",
    "Bulgarian": "и в на не се да за от с по е са като при или до че трябва ще със",
    "Latin": "et ut ac sed cum quam est vel sit amet ipsum nec sunt ex non ad qui quod eius pro",
}
_WORDS = {name: frozenset(words.split()) for name, words in _SMALL.items()}
_CYRILLIC = ("Russian", "Ukrainian", "Bulgarian")


def of(text: str) -> str:
    """The language's English name; "" for English and for what cannot be told."""
    if len(text) > SAMPLE:
        step = len(text) // _PARTS
        text = " ".join(text[start : start + SAMPLE // _PARTS] for start in range(0, step * _PARTS, step))
    others = _ASCII.sub("", text)
    letters = len(_LETTER.findall(text)) if others else 0
    for name, script in _SCRIPTS.items() if others else ():
        fewest, share = _FEWEST.get(name, _FEWEST_LETTERS), _SHARE.get(name, _SCRIPT_SHARE)
        if len(script.findall(others)) >= max(fewest, share * letters):
            return _in_words(text, _CYRILLIC) or "Russian" if name == "Cyrillic" else name
    return _in_words(text, [name for name in _WORDS if name not in _CYRILLIC])


def _in_words(text: str, among: Iterable[str]) -> str:
    """By small words."""
    words = Counter(_WORD.findall(text.casefold()))
    total = sum(words.values())
    hits = {name: sum(words[word] for word in _WORDS[name]) for name in (*among, "English")}
    best = max(hits, key=lambda name: hits[name])
    different = len(_WORDS[best] & words.keys())
    decided = different >= _FEWEST_HITS and hits[best] >= max(_HIT_SHARE * total, _AHEAD * hits["English"])
    return best if best != "English" and total >= _FEWEST_WORDS and decided else ""


def folded(text: str) -> str:
    """For an index of words: accents and vowel points gone, and writing without spaces cut into pairs of characters."""
    if text.isascii():
        return text
    bare = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text)))
    return _UNSPACED.sub(_pairs, bare)


def _pairs(found: re.Match[str]) -> str:
    run = found[0]
    pairs = " ".join(run[at : at + 2] for at in range(len(run) - 1))
    return f" {pairs or run} "


def noted(text: str) -> tuple[str, ...]:
    """For the report of a file: its language, where it is not the model's."""
    name = of(text)
    if not name:
        return ()
    return (f"written in {name}: the model reads English; the text is found and quoted, answers from it are less sure",)


def notices(texts: Iterable[str]) -> list[str]:
    """For an answer that rests on these texts."""
    names = sorted({name for text in texts if (name := of(text))})
    if not names:
        return []
    return [f"{' and '.join(names)}: outside the model's language (English), so check the quoted words."]
