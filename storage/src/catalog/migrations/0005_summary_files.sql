-- Files of summaries, each of one segment or of many; a segment says in which file its summaries are, and at which place.
create table summary_files (
    path text primary key,
    organization text not null references organizations (uid) on delete cascade,
    size_bytes bigint not null,
    -- Segments that it was written with; those that name it may be fewer by now.
    segment_count bigint not null
);
create index summary_files_by_organization on summary_files (organization);

-- Summaries in the form of before are made again.
insert into retired_files (path, retired_at) select summary_path, 0 from segments where summary_path is not null;
update segments set summary_path = null, summaries = null;
alter table segments drop column summary_bytes;
alter table segments add column summary_place bigint;
create index segments_by_summary_file on segments (summary_path);
