-- Times are milliseconds since 1970-01-01 UTC, days are days since then; identifiers are text.
-- The text runs on SQLite and on PostgreSQL.

create table organizations (
    uid text primary key,
    name text not null,
    requests_per_second bigint,
    -- Counts the commits of events, so that a batch can see what was committed since it looked for duplicates.
    event_commits bigint not null default 0,
    created_at bigint not null
);

create table users (
    uid text primary key,
    email text not null unique,
    password_hash text not null,
    created_at bigint not null
);

create table memberships (
    organization text not null references organizations (uid) on delete cascade,
    user_uid text not null references users (uid) on delete cascade,
    role text not null,
    primary key (organization, user_uid)
);

create index memberships_by_user on memberships (user_uid);

create table authtokens (
    id text primary key,
    user_uid text not null references users (uid) on delete cascade,
    -- The digest's first characters find the row; the digest itself is compared in constant time.
    digest_start text not null,
    digest text not null,
    created_at bigint not null
);
create index authtokens_by_start on authtokens (digest_start);
create index authtokens_by_user on authtokens (user_uid, created_at);

create table ingest_keys (
    id text primary key,
    organization text not null references organizations (uid) on delete cascade,
    digest_start text not null,
    digest text not null,
    created_at bigint not null
);
create index ingest_keys_by_start on ingest_keys (digest_start);
create index ingest_keys_by_organization on ingest_keys (organization);

create table stacks (
    api_key text primary key,
    organization text not null references organizations (uid) on delete cascade,
    name text not null,
    created_at bigint not null
);
create index stacks_by_organization on stacks (organization);

create table launch_resources (
    organization text not null references organizations (uid) on delete cascade,
    kind text not null,
    uid text not null,
    name text,
    project_uid text,
    created_at bigint not null,
    deleted_at bigint,
    primary key (organization, kind, uid)
);

create table event_log (
    id text primary key,
    organization text not null references organizations (uid) on delete cascade,
    kind text not null,
    first_day bigint not null,
    last_day bigint not null,
    event_count bigint not null,
    id_count bigint not null,
    commit_number bigint not null,
    created_at bigint not null,
    size_bytes bigint not null,
    payload bytea not null
);
create index event_log_by_day on event_log (organization, kind, first_day);

create table segments (
    id text primary key,
    organization text not null references organizations (uid) on delete cascade,
    kind text not null,
    day bigint not null,
    event_count bigint not null,
    id_count bigint not null,
    commit_number bigint not null,
    created_at bigint not null,
    size_bytes bigint not null,
    path text not null unique
);
create index segments_by_day on segments (organization, kind, day);

create table idempotency_keys (
    organization text not null references organizations (uid) on delete cascade,
    key text not null,
    body_sha256 text not null,
    receipt text not null,
    created_at bigint not null,
    primary key (organization, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

create table source_positions (
    organization text not null references organizations (uid) on delete cascade,
    head_sha256 text not null,
    head_len bigint not null,
    read_offset bigint not null,
    read_lines bigint not null,
    tail_sha256 text not null,
    tail_len bigint not null,
    updated_at bigint not null,
    primary key (organization, head_sha256, read_offset, tail_sha256)
);

create table jobs (
    id text primary key,
    organization text not null references organizations (uid) on delete cascade,
    report text not null,
    parameters text not null,
    state text not null,
    attempts bigint not null default 0,
    progress double precision not null default 0,
    created_at bigint not null,
    not_before bigint not null,
    started_at bigint,
    finished_at bigint,
    worker text,
    lease_until bigint,
    error text,
    result_uid text,
    result_path text,
    result_rows bigint,
    result_pages bigint,
    result_total bigint,
    result_documents bigint,
    result_marker bigint,
    result_bytes bigint,
    expires_at bigint
);
create index jobs_by_state on jobs (state, not_before);
create index jobs_by_organization on jobs (organization, created_at);
create index jobs_by_report on jobs (report, state, finished_at);
create unique index jobs_by_result on jobs (result_path);
