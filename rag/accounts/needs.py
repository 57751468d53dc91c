"""What each thing that can be done with a library asks of the person who does it. docs/rights.md is made of this table.

    ANYONE         whoever stands in the library, about what they may read and what is their own
    WRITER         a right to write in the collection it is about
    REVIEWER       the role reviewer or administrator: other people's questions and judgements
    ADMINISTRATOR  the role administrator: people, rights, every document, the model, the files of the server

A name that is missing here can be done by nobody but the owner of the files, and fails a test.
"""

from __future__ import annotations

from rag.accounts.people import ADMINISTRATOR, READER, REVIEWER

ANYONE, WRITER = READER, "writer"
NEEDS: dict[str, str] = {
    name: need
    for need, names in {
        ANYONE: """
            path settings person may may_write writable account accounts
            documents document starters search embed rewritten ask stream status revision risk embedder_name
            new_conversation conversations conversation export_conversation append rename delete
            answered rate choose second_answer judgement judgements_of edit_judgement withdraw
            remember remembered edit_remembered forget forget_everything heed
            retention keep_conversations due purge
            change_password my_tokens make_my_token revoke_my_token
        """,
        WRITER: "add_bytes remove models_that_saw",
        REVIEWER: """
            judgement_queue judgement_row judgements_waiting review
            pinned pin pin_question answer_pinned unpin recheck_pinned
            insight feedback_trend
        """,
        ADMINISTRATOR: """
            add connect watch readers_of set_readers
            judgements bundle outlook improve improvement improvements improvement_losses stop_improving
            resume_improving run_improvement
            gaps question_set question_file question_rows start_measuring measure stop_measuring forget_measurement
            measurement measurements measured_words risk_at_coverage models evaluate
            promote promote_back versions
            audited audit_rows replay purge_all verify repair backup restore warm
            people add_person set_role reset_password remove_person put_in_group take_out_of_group
            embedder_choice keep_embedder reembed reembedding start_reembedding stop_reembedding
            rights grant revoke open_collection tokens make_token revoke_token set_up
        """,
    }.items()
    for name in names.split()
}
