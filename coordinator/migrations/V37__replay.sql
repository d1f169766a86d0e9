-- Replays: dates that are calculated again from what was gathered, beside live work.

-- What is replayed gives way to live work, until its inputs change: then it is live itself.
alter table pipeline_state
    add column replay boolean not null default false,
    add column pinned boolean not null default false;
comment on column pipeline_state.replay is 'calculated, or last calculated, because of a replay: its tasks give way to live ones';
comment on column pipeline_state.pinned is 'config_hash and rules_hash stay those of a replay with older rules, until it is unpinned';
create index pipeline_state_pinned on pipeline_state (tenant, source, date) where pinned;

alter table tasks add column replay boolean not null default false;

alter table pipeline_runs
    drop constraint pipeline_runs_kind_check,
    add constraint pipeline_runs_kind check (kind in ('session', 'gather', 'replay', 'unpin')),
    add column rules text check (rules in ('current', 'as-of')),
    add column rules_at timestamptz;
comment on column pipeline_runs.gathered_at is 'when its gather ended well; of replay and unpin: when all its dates were on their way';
comment on column pipeline_runs.rules is 'of a replay: those in force, or those that were in force at the end of each date';
comment on column pipeline_runs.rules_at is 'of a replay as-of: the moment that counts instead of the end of each date';

-- Whether the ledger's archive had to serve a date, because the stream holds its batches no more.
alter table run_units add column restored boolean not null default false;

-- Since when a configuration has been in force, each time anew.
create table config_history (
    tenant text not null collate "C",
    since timestamptz not null default now(),
    config_hash bytea not null,
    primary key (tenant, since, config_hash)
);
comment on table config_history is 'when which configuration came into force';
insert into config_history (tenant, since, config_hash) select tenant, created_at, hash from config_versions;
