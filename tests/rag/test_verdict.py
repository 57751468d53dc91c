"""Yes and No: said where the quotation makes them certain, and nowhere else. The cases are our own words."""

from __future__ import annotations

import pytest

from rag.verdict import verdict, without_own

CERTAIN = [
    # may
    ("Can I carry unused days into next year?", "You cannot carry unused days into the next year.", "No"),
    ("May I keep the laptop?", "Employees may keep the laptop.", "Yes"),
    ("Can employees use the gym?", "All employees can use the gym in the basement.", "Yes"),
    ("Am I allowed to park in the yard?", "Staff are allowed to park in the yard.", "Yes"),
    ("Am I allowed to park in the yard?", "Parking in the yard is prohibited.", "No"),
    ("Can I get alcohol reimbursed?", "Alcohol will not be reimbursed.", "No"),
    ("Can I expense alcohol?", "Alcohol is not reimbursed and cannot be claimed.", ""),
    ("May visitors enter the laboratory?", "No visitors may enter the laboratory.", "No"),
    ("Can I share my password?", "Never share your password.", "No"),
    ("Could I bring my dog to the office?", "Dogs are allowed in the office.", "Yes"),
    ("Can contractors use the canteen?", "Contractors may use the canteen.", "Yes"),
    ("Is it OK to record a meeting?", "You may record a meeting.", "Yes"),
    ("May I work abroad without a permit?", "You may not work abroad without a permit.", "No"),
    ("Can we accept gifts from vendors?", "Gifts from vendors are forbidden.", "No"),
    ("Can I get access before my first day?", "You cannot get access before the first day.", "No"),
    (
        "Can I use my personal ticket for a train that the company pays?",
        "Do not use a personal ticket (PT) for trains.",
        "No",
    ),
    ("May we accept gifts from a vendor at a fair?", "Gifts from vendors are forbidden.", "No"),
    # must
    ("Must employees sign the agreement?", "Employees must sign the agreement before the first day.", "Yes"),
    ("Do contributors need to sign an agreement?", "Contributors do not need to sign any agreement.", "No"),
    ("Do I have to wear the badge?", "Everyone is required to wear the badge.", "Yes"),
    ("Do I need a receipt?", "Receipts are required.", "Yes"),
    ("Is training mandatory?", "Training is optional.", "No"),
    ("Should I lock my screen?", "Always lock your screen.", "Yes"),
    ("Should I forward the mail?", "Do not forward the mail.", "No"),
    # is
    ("Is overtime paid?", "Overtime is paid.", "Yes"),
    ("Is overtime paid?", "Overtime is not paid.", "No"),
    ("Does the company pay for parking?", "The company pays for parking.", "Yes"),
    ("Is there a gym?", "There is no gym.", "No"),
    ("Do we have a canteen?", "We have a canteen on the ground floor.", "Yes"),
    ("Does the office offer showers?", "The office does not offer showers.", "No"),
    # the quotation says so itself
    ("May I approve a backport by myself?", "Yes, you can approve backport PRs as long as they were reviewed.", "Yes"),
    (
        "Do I need to order the monthly ticket again?",
        "No, you don't. The ticket is sent to you each month by the office that orders it.",
        "No",
    ),
    ("Can I order the ticket at the desk again?", "Yes, you can. The desk orders it again.", "Yes"),
    ("Do I have to book early?", "A: No. You do not have to book early.", "No"),
]
UNDECIDED = [
    ("Can I carry days over?", "You can carry days over if your manager agrees."),
    ("Can I take a train?", "You can only take a train."),
    ("Can I take a taxi?", "You can take a taxi unless a bus runs."),
    ("Can a hire get access before the first day?", "No access is granted before the first day, unless approved."),
    ("Can I use the gym?", "Visitors cannot park in the yard."),
    ("Can I use the gym?", "Managers can use the gym."),
    ("Can contractors use the gym?", "Employees can bring contractors to the gym."),
    ("Can I use my personal laptop for work?", "You can use your work laptop at home."),
    ("Can I use my work laptop abroad?", "You cannot use your work laptop for gaming."),
    ("Can I carry over ten days?", "You may carry over five days."),
    ("Can I take 5 days?", "You cannot take more than 5 days."),
    ("Can I get access on my first day?", "You cannot get access before your first day."),
    ("Can I get access before my first day?", "You can get access after your first day."),
    ("Do I need a receipt?", "A receipt is required for expenses over $75."),
    ("Do I have to pay for parking?", "In Berlin you must pay for parking."),
    ("Isn't overtime paid?", "Overtime is not paid."),
    ("Can't I work at home?", "You cannot work at home."),
    ("Is overtime paid?", "Overtime is paid, but not on Sundays."),
    ("Is overtime paid?", "In Lisbon, overtime is paid."),
    ("Is overtime paid?", "Is overtime paid?"),
    ("Is overtime paid?", "Overtime is usually paid."),
    ("Is overtime paid?", "Overtime is not only paid on Sundays."),
    ("Can I skip the receipt?", "No, you do not need a receipt."),
    ("May I skip the weekly meeting at noon?", "Yes, you may come to the weekly meeting at noon."),
    ("May we keep gifts from a vendor at a fair?", "You may keep gifts from vendors."),
    ("Do I need a receipt for taxis at night?", "You do not need a receipt for taxis."),
    ("Can I delete a message in the channel?", "Do not edit messages in the channel."),
    ("Can I travel?", "You do not need approval to travel."),
    ("Is overtime paid?", "Overtime is paid. Overtime is not paid."),
    ("Do candidates get paid for the test?", "Yes, we ask all candidates to take the test."),
    ("Is the gym free for guests?", "Yes, guests of the gym register at the desk."),
    ("Must guests of the gym register?", "No, guests of the gym do."),
    ("How many days do I get?", "You cannot carry days over."),
    ("Must I attend?", "You may attend."),
    ("Is leave 15 days long?", "Leave is 20 days long."),
]


@pytest.mark.parametrize(("question", "quoted", "expected"), CERTAIN)
def test_the_quotation_decides(question: str, quoted: str, expected: str) -> None:
    assert verdict(question, quoted) == expected


@pytest.mark.parametrize(("question", "quoted"), UNDECIDED)
def test_what_the_rules_cannot_decide_is_left_open(question: str, quoted: str) -> None:
    assert verdict(question, quoted) == ""


def test_a_heading_tells_what_the_sentence_leaves_out() -> None:
    assert verdict("Can employees use the gym?", "All employees can use it.", about="Gym") == "Yes"
    assert verdict("Can employees use the gym?", "All employees can use it.", about="Canteen") == ""


def test_a_yes_or_no_to_another_question_can_be_taken_off() -> None:
    assert without_own("No, you do not need a receipt.") == "you do not need a receipt."
    assert without_own("No.") == "No."
    assert without_own("Now you may.") == "Now you may."
