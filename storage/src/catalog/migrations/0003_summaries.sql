-- The file of a segment's summaries, and the names of those that it holds, in their order in it. No names at all, with or
-- without a file: nobody has looked at the segment yet. No file, but names (none): nothing is worth being added up.
alter table segments add column summary_path text;
alter table segments add column summaries text;
alter table segments add column summary_bytes bigint not null default 0;

-- Files that no segment names any more, and since when: whoever began to read before may still be at it.
create table retired_files (
    path text primary key,
    retired_at bigint not null
);
create index retired_files_by_age on retired_files (retired_at);
