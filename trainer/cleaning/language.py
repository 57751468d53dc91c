"""Which language is a text in? Its script, and among languages that share one its small words.

Takes   the first characters of a text.
Gives   a code of ISO 639-1 ("en", "de", ...) and how clear it is; "und" where too few small words stand: lists, tables,
        program text. 24 languages by their words, 11 more by their script alone.
How     each small word votes for the languages that have it, and counts less the more of them there are; the share of
        words that voted is the clarity. Prose reaches .2 to .4.
Source  small words tell languages: Dunning, "Statistical identification of language", 1994, and Gopher's stop-word
        rule, arXiv:2112.11446, A.1.1. The lists are our own. No model: nothing to install, the same on every machine.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import NamedTuple

PREFIX = 2000  # characters looked at
CLEAR = 0.08  # share of voting words below which no language is named
SURE = 0.15  # share from which a text goes for its language: program text reaches .13 in one by chance
WORD = re.compile(r"[^\W\d_]+")
UNKNOWN = "und"

SMALL_WORDS = {
    "en": "the be to of and that have with is are was for you this from or by which can will not if it when they at "
    "has would their been should in on as an we all more about into than only each other such these those "
    "must may does",
    "de": "der die und das den von zu mit sich des auf für ist im dem nicht ein eine als auch werden wird sind oder "
    "bei nach einen durch aus wie",
    "fr": "le la les des et est une du en que qui dans pour pas sur par plus avec ce au sont cette ou aux être mais "
    "il elle nous vous",
    "es": "el la los las de que y en un una es por con para del se no su al lo como más pero sus este está son muy "
    "esta también",
    "pt": "o os as de que e do da em um uma para com não por mais dos como mas ao ele das à seu sua ou também são "
    "está pelo",
    "it": "il di che è la e un una per non sono con del della dei da gli alla nel più anche come le si questo delle "
    "al essere ma i",
    "nl": "de het een van en in is dat op te zijn met voor niet aan er om ook als bij door maar naar worden deze "
    "uit wordt kan of",
    "sv": "och att det som en på är av för med den till inte om ett men har de eller från vid kan också när var ska",
    "da": "og at det som en på er af for med den til ikke et men har de eller fra ved kan også når var skal blev efter",
    "no": "og å det som en på er av for med den til ikke et men har de eller fra ved kan også når var skal ble etter",
    "fi": "ja on ei että se oli hän mutta ovat joka kun niin sen myös tai kuin ole voi jos sekä olla mukaan vain",
    "pl": "i w na z do że się nie jest to o jak po od przez za dla są oraz ale przy jego być lub może które jako czy",
    "cs": "a v na je se že s z do o to i pro jako by ale jsou od po nebo při které jeho aby byl podle také již",
    "sk": "a v na je sa že s z do o to aj pre ako by ale sú od po alebo pri ktoré jeho aby bol podľa tiež už",
    "hu": "a az és hogy nem is egy van ez meg de volt csak mint vagy ki már még el lehet között után azt ha",
    "ro": "și în de la a cu pe nu că este din un o mai care pentru sunt se au ca fi prin sau dar au fost după această",
    "tr": "ve bir bu da de için ile olarak daha çok gibi olan en ne kadar sonra ya veya her ancak değil var ise",
    "id": "yang dan di dengan untuk dari pada ini itu tidak dalam adalah akan atau juga ke oleh dapat karena telah "
    "sebagai",
    "vi": "và của là có được cho không một các trong với người này đã những từ khi để như đến về năm tại ra cũng",
    "ru": "и в не на что с по как это из к у за от то для но все так или же бы если при был быть его их",
    "uk": "і в не на що з по як це із до у за від то для але всі так або ж б якщо при був бути його їх та",
    "bg": "и в не на че с по като това от за до но са се да или при е беше ще със към който който те",
    "el": "και το η ο να του της με για που από την των στο είναι δεν τα στην σε θα οι τον μας",
    "ar": "في من على أن إلى عن التي الذي هذا مع هذه كان لا ما بين أو كل ذلك بعد قد هو هي",
    "fa": "و در به از که این را با است برای آن یک خود تا بر می شده هم نیز کرد شد",
}
SCRIPTS = {  # of scripts that one language fills, or whose small words were not told apart
    "he": "\u0590-\u05ff",
    "hi": "\u0900-\u097f",
    "bn": "\u0980-\u09ff",
    "ta": "\u0b80-\u0bff",
    "th": "\u0e00-\u0e7f",
    "ka": "\u10a0-\u10ff",
    "hy": "\u0530-\u058f",
    "ko": "\u1100-\u11ff\uac00-\ud7af",
    "ja": "\u3041-\u30ff",
    "zh": "\u4e00-\u9fff",
    "ar": "\u0600-\u06ff",
    "el": "\u0370-\u03ff",
    "ru": "\u0400-\u04ff",
}
SCRIPT = {code: re.compile(f"[{signs}]") for code, signs in SCRIPTS.items()}
FOREIGN = re.compile("[\u0370-\u1fff\u3041-\ud7ff]")


def votes() -> dict[str, tuple[tuple[str, float], ...]]:
    """Small word -> the languages it votes for, each with the same part of one vote."""
    having: dict[str, set[str]] = defaultdict(set)
    for code, words in SMALL_WORDS.items():
        for word in words.split():
            if len(word) > 1 or not word.isascii():  # single letters are variables and abbreviations anywhere
                having[word].add(code)
    return {word: tuple((code, 1 / len(codes)) for code in sorted(codes)) for word, codes in having.items()}


VOTES = votes()


class Language(NamedTuple):
    """What a text seems to be written in."""

    code: str
    share: float  # of the words that voted for it; of the letters in its script where no small word did


def identify(text: str) -> Language:
    """The language of a text, from its beginning.

    >>> identify("Der Antrag wird von der Abteilung geprüft und ist nicht zu spät.").code
    'de'
    """
    start = text[:PREFIX]
    words = WORD.findall(start.lower())
    if not words:
        return Language(UNKNOWN, 0.0)
    score: Counter[str] = Counter()
    for word, times in Counter(words).items():
        for code, part in VOTES.get(word, ()):
            score[code] += part * times  # type: ignore[assignment]
    best, sum_of_votes = score.most_common(1)[0] if score else (UNKNOWN, 0)
    share = sum_of_votes / len(words)
    if share >= CLEAR:
        return Language(best, share)
    foreign = len(FOREIGN.findall(start))
    letters = sum(map(len, words))
    if foreign > letters / 3:
        counts = {code: len(signs.findall(start)) for code, signs in SCRIPT.items()}
        if counts["ja"] > foreign / 10:
            return Language("ja", 1.0)  # Japanese is mostly written in Chinese characters
        code = max(counts, key=lambda key: counts[key])
        return Language(code, min(1.0, counts[code] / letters))
    return Language(UNKNOWN, share)


def is_wanted(found: Language, wanted: tuple[str, ...]) -> bool:
    """Whether a text stays: its language is among the wanted ones, or nobody can say for sure."""
    return not wanted or found.code in wanted or found.code == UNKNOWN or found.share < SURE
