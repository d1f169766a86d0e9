-- What a person should know of a unit's allocation, such as owners that the directory does not list.
alter table pipeline_state add column warnings jsonb not null default '[]';
comment on column pipeline_state.warnings is 'of the rows last allocated: [{"text": …, "count": …}]';
