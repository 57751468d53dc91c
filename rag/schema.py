"""The tables of `catalogue.db`, as numbered steps.

Takes   an open connection inside a transaction.
Gives   `MIGRATIONS`: step n brings a file from `user_version` n - 1 to n. Append only; a published step never changes.

Every migration is applied in one transaction by `Catalogue`, so a file is of one release or the next, never between.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from sqlite3 import Connection

from rag.accounts.tables import TABLES

MIGRATIONS: list[Callable[[Connection], None]] = []  # run in order, each once; append only


def _run(db: Connection, script: str) -> None:
    """Run statements one by one: `executescript` would commit the transaction around the migration."""
    for statement in script.split(";\n"):
        if statement.strip():
            db.execute(statement)


@MIGRATIONS.append
def m001_documents(db: Connection) -> None:
    """Documents with their versions, passages with their vectors, and what changed when."""
    _run(
        db,
        """
        create table state (
            one integer primary key check (one = 1),
            generation integer not null,   -- grows by one with every commit that changes what can be found
            library_id text not null,      -- copies carry it: those of another library are foreign
            embedder text not null         -- identity of the embedder the vectors belong to; '' before the first
        );
        create table documents (           -- one row a version; small columns only, the words stand in `texts`
            id integer primary key autoincrement,
            collection text not null,
            source text not null,
            path text not null,
            name text not null,
            version integer not null,
            title text not null,
            sha256 text not null,
            pages_without_text integer not null,
            passages integer not null,
            notes text not null,           -- JSON list of lines
            access text not null,          -- JSON list of persons; empty: everybody of the library
            current integer not null,      -- 0: replaced or removed
            added_at text not null,
            removed_at text                -- set when removed: the words are erased
        );
        create unique index one_current on documents (collection, source, path) where current = 1;
        create index documents_by_name on documents (name, version);
        create table texts (
            document_id integer primary key references documents (id),
            pages text not null,           -- JSON list of [number, start, end]
            text text not null
        );
        create table passages (            -- exactly what may be found: no rows of replaced or removed versions
            id integer primary key autoincrement,   -- never reused, so a stale copy cannot point at other words
            document_id integer not null references documents (id),
            ordinal integer not null,
            start integer not null,        -- characters in the document's text
            stop integer not null,
            page integer,
            headings text not null,        -- JSON list
            text_hash text not null,       -- of what is embedded: heading path and text
            near_group integer not null
        );
        create index passages_by_document on passages (document_id, ordinal);
        create index passages_by_hash on passages (text_hash);
        create table vectors (
            text_hash text not null,
            embedder text not null,
            vector blob not null,          -- fp16, little endian, unit length
            primary key (text_hash, embedder)
        );
        create table near_keys (           -- keys of passages; two passages that share one may be near copies
            key text not null,
            passage_id integer not null,
            primary key (key, passage_id)
        ) without rowid;
        create index near_keys_by_passage on near_keys (passage_id);
        create table changes (             -- what a copy that stands at an older generation has missed
            generation integer not null,
            passage_id integer not null,
            removed integer not null,
            primary key (generation, passage_id, removed)
        ) without rowid
        """,
    )
    db.execute("insert into state values (1, 0, ?, '')", (uuid.uuid4().hex,))


@MIGRATIONS.append
def m002_people(db: Connection) -> None:
    """Conversations, the audit chain and judgements."""
    _run(
        db,
        """
        create table conversations (
            id text primary key,
            person text not null,
            collection text,
            title text not null,
            created_at text not null,
            updated_at text not null
        );
        create index conversations_by_person on conversations (person, updated_at);
        create table turns (
            id integer primary key autoincrement,
            conversation_id text not null references conversations (id) on delete cascade,
            ordinal integer not null,
            question text not null,
            standalone text not null,
            answer_json text not null,
            created_at text not null,
            unique (conversation_id, ordinal)
        );
        create table audit (
            seq integer primary key,       -- 1, 2, 3 ... without gaps
            id text not null unique,
            kind text not null,            -- answer, added, replaced, removed, access, erased
            at text not null,
            person text not null,
            payload_hash text not null,    -- sha256 of the payload's bytes
            previous_seal text not null,
            seal text not null,            -- sha256 over the columns above and the seal before
            payload text                   -- JSON; null once erased: the seal covers its hash, so the chain holds
        );
        create index audit_by_kind on audit (kind, seq);
        create table judgements (
            id text primary key,
            answer_id text not null references audit (id),
            person text not null,
            verdict text not null,
            reason text,
            correction text,
            at text not null,
            withdrawn integer not null default 0
        );
        create index judgements_by_answer on judgements (answer_id)
        """,
    )


@MIGRATIONS.append
def m003_judgements(db: Connection) -> None:
    """Judgements that can be reviewed, edited and compared; what each bundle for training held.

    Marked words are kept as a place in a document, not as a copy: they are erased with the document. What a person
    wrote beside an answer is erased together with the answer, whoever erases it.
    """
    _run(
        db,
        """
        -- kind: rating, or choice between two answers; then other_id is the answer not chosen, side (a or b) where the
        -- chosen one was shown. state: new, accepted, rejected. editor: who changed it last.
        alter table judgements rename column correction to better;
        alter table judgements add column kind text not null default 'rating';
        alter table judgements add column other_id text references audit (id);
        alter table judgements add column side text;
        alter table judgements add column marked_document integer references documents (id);
        alter table judgements add column marked_start integer;
        alter table judgements add column marked_stop integer;
        alter table judgements add column state text not null default 'new';
        alter table judgements add column reviewer text;
        alter table judgements add column reviewed_at text;
        alter table judgements add column note text;
        alter table judgements add column editor text;
        alter table judgements add column edited_at text;
        alter table judgements add column withdrawn_at text;
        create unique index one_rating on judgements (answer_id, person) where withdrawn = 0 and kind = 'rating';
        create index judgements_by_state on judgements (state, withdrawn);
        create table bundles (                 -- what left the library for training
            id text primary key,               -- sha256 over the members of the file
            at text not null,
            person text not null,
            generation integer not null
        );
        create table bundle_judgements (
            bundle_id text not null references bundles (id),
            judgement_id text not null,
            primary key (bundle_id, judgement_id)
        ) without rowid;
        create table bundle_documents (        -- ids of versions; a document stays on its side of the split
            bundle_id text not null references bundles (id),
            document_id integer not null,
            held integer not null,             -- 1: for evaluation only
            primary key (bundle_id, document_id)
        ) without rowid
        """,
    )
    db.execute(
        "create trigger judged_words_go_with_the_answer after update of payload on audit when new.payload is null begin"
        " update judgements set better = null, note = null where answer_id = new.id or other_id = new.id; end"
    )


@MIGRATIONS.append
def m004_memory(db: Connection) -> None:
    """What persons asked to be remembered, how long their conversations stay, questions a collection must hold."""
    _run(
        db,
        """
        create table remembered (
            id text primary key,
            person text not null,
            text text not null,            -- its words stand here and nowhere else
            at text not null,
            edited_at text
        );
        create index remembered_by_person on remembered (person, at);
        create table retention (
            person text primary key,
            days integer not null          -- after a conversation's last turn
        ) without rowid;
        create table pinned (              -- approved answers; question, answer and quotations stand in the audit alone
            id text primary key,
            collection text not null,
            person text not null,          -- with whose rights it is asked again
            answer_id text not null unique references audit (id),
            expected text not null,        -- JSON list of alternatives that must occur; empty: compare with the answer
            by_hand integer not null,      -- 0: from a judgement, and gone when that is withdrawn
            dropped integer not null default 0,  -- 1: taken out by hand; its judgement does not bring it back
            at text not null
        );
        create table pinned_results (      -- no words: how each question fared with which documents and model
            pinned_id text not null references pinned (id) on delete cascade,
            generation integer not null,
            model text not null,
            at text not null,
            outcome text not null,         -- same, kept, changed, lost, answered, wrong
            confidence real not null,
            primary key (pinned_id, generation, model)
        ) without rowid
        """,
    )


@MIGRATIONS.append
def m005_brought(db: Connection) -> None:
    """What came from elsewhere (a watched folder, a site, a repository, a mailbox), so that it need not come again."""
    _run(
        db,
        """
        create table brought (
            collection text not null,
            address text not null,         -- as it was given; a site's documents may come by several addresses
            path text not null,            -- of the document in its source; '' for the address as a whole
            mark text not null,            -- what the other side calls this version: an ETag, a blob, a size and time
            sha256 text not null,          -- of the file it became: a mark counts while that file is the current one
            primary key (collection, address, path)
        ) without rowid
        """,
    )


@MIGRATIONS.append
def m006_quality(db: Connection) -> None:
    """What was measured: question sets asked of one model, row by row, and how far documents lie from what it knows.

    Questions and answers stand in the audit alone. What a question expects is erased together with its answer.
    """
    _run(
        db,
        """
        create table evaluations (
            id integer primary key autoincrement,
            kind text not null,            -- file, pinned, judged
            name text not null,            -- of the file
            questions text not null,       -- sha256 over the questions: runs that share it compare
            total integer not null,
            person text not null,          -- with whose rights it is asked
            began_at text not null,
            ended_at text,
            state text not null,           -- running, stopping, done, stopped, failed
            error text,
            model text not null,           -- as its answers name it; '' before the first
            generation integer not null,
            strictness text not null
        );
        create table evaluated (
            evaluation_id integer not null references evaluations (id) on delete cascade,
            ordinal integer not null,
            answer_id text not null references audit (id),
            answerable integer not null,
            outcome text not null,         -- right, wrong, refused
            would text not null,           -- right or wrong, had it been answered; '' where nothing was found
            exact real not null,
            f1 real not null,
            cited integer,                 -- a document the row names: null where it names none, or nothing was said
            found integer,
            confidence real not null,
            milliseconds real not null,
            expected text,                 -- JSON list of alternatives; null once erased
            primary key (evaluation_id, ordinal)
        ) without rowid;
        create index evaluated_by_answer on evaluated (answer_id);
        create table document_gaps (       -- a text of one version never changes, so it is measured once
            document_id integer not null references documents (id),
            meter text not null,           -- what measured it: table and tokenizer
            bytes integer not null,
            bits real not null,            -- for all these bytes
            words integer not null,
            tokens integer not null,
            primary key (document_id, meter)
        ) without rowid
        """,
    )
    db.execute(
        "create trigger expected_goes_with_the_answer after update of payload on audit when new.payload is null begin"
        " update evaluated set expected = null where answer_id = new.id; end"
    )


@MIGRATIONS.append
def m007_embedders(db: Connection) -> None:
    """Which setting opens the embedder of the vectors, so that it goes on answering where the settings name another."""
    _run(
        db,
        """
        create table embedders (
            identity text primary key,
            name text not null             -- the setting `embedder` that opened it; a folder in full
        ) without rowid;
        -- keeps: the one it was decided not to move to
        alter table state add column keeps text not null default ''
        """,
    )


@MIGRATIONS.append
def m008_accounts(db: Connection) -> None:
    """People, groups, tokens, sessions, rights of collections."""
    _run(db, TABLES)


@MIGRATIONS.append
def m009_recordings(db: Connection) -> None:
    """When a passage of a recording is said: seconds from the beginning; null in all other documents."""
    db.execute("alter table passages add column at real")
