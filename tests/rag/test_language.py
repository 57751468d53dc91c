"""Another language than the model's is noticed, and English is not mistaken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag import clean, language
from rag.catalogue import Catalogue
from rag.lexical import Lexical
from rag.types import Page
from tests.miniature import put

LEAVE = {
    "German": "Alle Mitarbeiter haben Anspruch auf dreißig Tage Urlaub im Jahr. Der Antrag wird bei der Leitung gestellt und ist mit dem Team zu besprechen.",
    "French": "Tous les salariés ont droit à trente jours de congé par an. La demande est présentée au responsable et doit être discutée avec les collègues.",
    "Spanish": "Todos los empleados tienen derecho a treinta días de vacaciones por año. La solicitud se presenta al responsable y es necesario hablar con el equipo.",
    "Italian": "Tutti i dipendenti hanno diritto a trenta giorni di ferie. La domanda si presenta al responsabile e non è valida senza la firma della direzione.",
    "Dutch": "Alle medewerkers hebben recht op dertig dagen verlof. De aanvraag wordt bij de leiding ingediend en moet met het team worden besproken.",
    "Swedish": "Alla anställda har rätt till trettio dagars semester. Ansökan lämnas till chefen och det är bra att tala med gruppen om den.",
    "Polish": "Wszyscy pracownicy mają prawo do trzydziestu dni urlopu. Wniosek składa się do kierownika i nie jest ważny bez podpisu oraz daty.",
    "Russian": "Все сотрудники имеют право на тридцать дней отпуска. Заявление подаётся руководителю и не действует без подписи.",
    "Ukrainian": "Усі працівники мають право на тридцять днів відпустки. Заява подається до керівника і не діє без підпису та дати, що є на ній.",
    "Greek": "Όλοι οι εργαζόμενοι δικαιούνται τριάντα ημέρες άδεια.",
    "Japanese": "社員は年間三十日の休暇を取得できます。申請は上長に提出してください。",
    "Chinese": "所有员工每年享有三十天假期。申请须提交给主管。",
    "Korean": "모든 직원은 연간 삼십 일의 휴가를 받을 수 있습니다.",
    "Arabic": "يحق لجميع الموظفين ثلاثون يوما من الإجازة في السنة.",
    "Hebrew": "כל העובדים זכאים לשלושים ימי חופשה בשנה.",
    "Thai": "พนักงานทุกคนมีสิทธิ์ลาพักร้อนสามสิบวันต่อปี",
    "Hindi": "सभी कर्मचारियों को वर्ष में तीस दिन की छुट्टी मिलती है।",
}


@pytest.mark.parametrize("name", LEAVE)
def test_the_language_of_two_sentences_is_told(name: str) -> None:
    assert language.of(LEAVE[name]) == name


@pytest.mark.parametrize(
    "text",
    [
        "All staff may take thirty days of leave a year. Ask your lead before you book, and tell the team.",
        "Grade: A | Days: 25 | Notice: one month\nGrade: B | Days: 30 | Notice: two months",
        "The café in São Paulo opens at six; ask José or Zoë, and say « bonjour » to the 山田 family who run it.",
        "die cast de la Cruz El Paso Los Angeles Las Vegas",
        "SELECT id FROM t WHERE a = 1",
        "12 345 67,8 %",
        "",
    ],
)
def test_english_names_tables_and_figures_are_not_taken_for_another_language(text: str) -> None:
    assert language.of(text) == ""


def test_the_report_of_a_file_and_an_answer_say_so() -> None:
    draft = clean.draft([Page(None, LEAVE["German"])], title="urlaub")
    assert draft.notes == language.noted(LEAVE["German"]) != ()
    assert "German" in language.notices([LEAVE["German"], "All staff may take leave."])[0]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("Japanese", "休暇"),
        ("Chinese", "假期"),
        ("Korean", "휴가"),
        ("Thai", "ลาพักร้อน"),
        ("Greek", "αδεια"),
        ("Arabic", "الإِجَازَة"),
    ],
)
def test_a_word_in_the_middle_of_writing_without_spaces_is_found(name: str, query: str, tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "catalogue.db")
    put(catalogue, "leave.md", *LEAVE.values())
    index = Lexical(tmp_path, catalogue)
    index.catch_up()
    place = list(LEAVE).index(name) + 1
    assert index.search(query, 5)[0].passage == place
    assert index.every(query) == [place]
    catalogue.close()
