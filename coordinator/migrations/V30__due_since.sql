-- Since when a unit has been due: the lag that metrics show.

alter table pipeline_state add column due_since timestamptz not null default now();
comment on column pipeline_state.due_since is 'since when the unit is not up to date; of one that is visible, when it last was not';
