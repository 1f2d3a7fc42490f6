-- An organization's own retention, in place of the configured one. Days: 0 keeps events for ever.
alter table organizations add column events_days bigint;
alter table organizations add column results_hours bigint;

-- How long a result is kept is asked when it is looked at, so that a new retention holds for results that are there.
alter table jobs drop column expires_at;
