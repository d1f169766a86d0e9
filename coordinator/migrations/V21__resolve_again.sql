-- Resolutions that lack what could not be had are made again later, so many times.

alter table pipeline_state
    add column resolve_attempts int not null default 0,
    add column resolve_lacking text,
    add column resolved_at timestamptz,
    add column resolve_again_at timestamptz;
comment on column pipeline_state.resolve_attempts is 'resolutions in a row, of the same lines, that lacked something';
comment on column pipeline_state.resolve_lacking is 'what the resolutions in force lack, and why; null: nothing';
comment on column pipeline_state.resolve_again_at is
    'when they are made again; null: they lack nothing, or the limit of attempts is reached';

create index pipeline_state_resolve_again on pipeline_state (resolve_again_at) where resolve_again_at is not null;

create or replace view units as
select p.tenant, p.source, p.date, p.state, p.lines_items as lines, p.withdrawn, p.visible_generation,
  p.visible_rows as rows, p.visible_at, p.attempts, p.last_error,
  case when p.visible_generation = 0 then null
       when p.resolve_again_at is not null then 'provisional'
       when p.date > (now() at time zone 'UTC')::date - coalesce(t.final_after_days, 0)
         and t.final_after_days is not null then 'estimated'
       else 'final' end as finality,
  p.resolve_attempts, p.resolve_lacking
from pipeline_state p join tenants t using (tenant);
