-- The audit trail: who or what had dates gathered or calculated again, how far it is, and what became of it.
--
-- A row is a session (of `up` or `run --once`), or one gather of a source in it. What a person asks for is written here
-- too, as `requested`: the coordinator takes it up.

alter table pipeline_runs
    add column kind text not null default 'session' check (kind in ('session', 'gather')),
    add column tenant text collate "C",
    add column source text collate "C",
    add column from_date date,
    add column to_date date,
    add column started_by text,
    add column config_hash bytea,
    add column gathered_at timestamptz,
    add column error text,
    add constraint pipeline_runs_of check (kind = 'session' or tenant is not null);
create index pipeline_runs_open on pipeline_runs (tenant, source) where ended_at is null and kind <> 'session';
create index pipeline_runs_started on pipeline_runs (started_at);
comment on table pipeline_runs is 'every session, gather and request of a person: when, by whom, how it ended';
comment on column pipeline_runs.trigger is 'schedule, manual or api';
comment on column pipeline_runs.status is 'requested, running, done or failed';
comment on column pipeline_runs.from_date is 'of a request: the first date; null: the window of the source';
comment on column pipeline_runs.config_hash is 'the configuration in force when its work was first sent out';
comment on column pipeline_runs.gathered_at is 'when its gather ended well';
comment on column pipeline_runs.error is 'why it failed, or the last attempt of its gather did';

-- The units that a run had calculated again. Several runs may wait for one: the same generation ends them all.
create table run_units (
    run_id text not null collate "C" references pipeline_runs on delete cascade,
    tenant text not null collate "C",
    source text not null collate "C",
    date date not null,
    before_generation int8 not null,
    generation int8,
    visible_at timestamptz,
    settled_at timestamptz,
    error text,
    primary key (run_id, tenant, source, date)
);
create index run_units_open on run_units (tenant, source, date) where settled_at is null;
create index run_units_of_open_run on run_units (run_id) where settled_at is null;
comment on table run_units is 'the dates that a run had calculated again';
comment on column run_units.before_generation is 'what was visible when the run took the date up; 0 for nothing';
comment on column run_units.generation is 'what became visible';
comment on column run_units.settled_at is 'when it was visible and emitted, or given up';

create table run_steps (
    run_id text not null collate "C" references pipeline_runs on delete cascade,
    step text not null collate "C",
    started_at timestamptz not null,
    ended_at timestamptz,
    units int8 not null default 0,
    items int8 not null default 0,
    primary key (run_id, step)
);
comment on table run_steps is 'how long each step of a run took, from its first task to its last report, and what it did';
comment on column run_steps.units is 'dates; of emit: dates, once per emitter';
comment on column run_steps.items is 'records of gather, resolutions of resolve, rows of allocate, commit and emit';

-- The run that the gather under way is part of.
alter table source_state add column gather_run text collate "C";
