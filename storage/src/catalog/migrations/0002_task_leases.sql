-- Who does a task that only one process may do at a time, and until when.
create table task_leases (
    task text primary key,
    holder text not null,
    lease_until bigint not null
);
