"""The tables of accounts, as the catalogue's migration makes them. A published step never changes.

Nothing here can be used to sign in: passwords stand as argon2 hashes, tokens and sessions as SHA-256 of random bits.
"""

TABLES = """
    create table people (
        name text primary key,             -- lower case; never given twice: what was a person's stays theirs
        role text not null,                -- administrator, reviewer, reader
        active integer not null default 1, -- 0: removed
        password text,                     -- argon2; null: signs in elsewhere, or by token only
        temporary integer not null default 0,  -- 1: the password was made by somebody else and must be changed
        identity text unique,              -- as the company's sign-in names them: an e-mail address
        created_at text not null
    ) without rowid;
    create table memberships (
        team text not null,                -- a group; one without members does not exist
        person text not null references people (name),
        primary key (team, person)
    ) without rowid;
    create index memberships_by_person on memberships (person);
    create table grants (                  -- a collection without a row is open to everybody of the library
        collection text not null,
        holder text not null,              -- a person, or group:NAME
        writes integer not null,           -- 1: may also add and remove documents there
        primary key (collection, holder)
    ) without rowid;
    create table tokens (
        id text primary key,               -- to name it by; no secret
        person text not null references people (name),
        label text not null,
        sha256 text not null unique,
        scope text not null,               -- read, write
        created_at text not null,
        expires_at text not null,
        used_at text,
        revoked_at text
    ) without rowid;
    create table sessions (
        sha256 text primary key,
        person text not null references people (name),
        began_at text not null,
        seen_at text not null
    ) without rowid;
    create table failures (                -- wrong passwords in a row, by the name that was tried
        name text primary key,
        times integer not null,
        until text not null                -- no password is looked at before
    ) without rowid
    """
