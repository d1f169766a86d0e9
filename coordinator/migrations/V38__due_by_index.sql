-- What is due is found by indexes, however many dates there are: a date whose emissions are all done says so, and a file
-- that may be stale does.

alter table pipeline_state add column emitted_generation bigint not null default 0;
comment on column pipeline_state.emitted_generation is 'the visible generation of which nothing is to be emitted any more; the coordinator sets it, and sets it back where emitters change';
update pipeline_state p set emitted_generation = visible_generation
where visible_generation > 0 and not exists (select from emitters e
  left join emission_records r on r.tenant = p.tenant and r.source = p.source and r.date = p.date and r.emitter = e.emitter
  where e.tenant = p.tenant and in_lookback(p.date, e.lookback_days, e.monthly)
    and (r.generation is null or r.generation < p.visible_generation or r.emitter_hash is distinct from e.hash or r.compare));
-- Of a column it is known how rare that is.
alter table pipeline_state add column unemitted boolean not null generated always as (visible_generation <> emitted_generation) stored;
comment on column pipeline_state.unemitted is 'whether something may be to be emitted of it';
create index pipeline_state_unemitted on pipeline_state (tenant, source, date) where unemitted;
-- The newest of an emitter are compared with what lies outside.
create index emission_records_newest on emission_records (tenant, emitter, date desc, source);

alter table emitted_files add column doubtful boolean not null default true;
comment on column emitted_files.doubtful is 'whether it may be stale: it was not put there by an emitter as it is configured now, or its date has been carried elsewhere since';
update emitted_files f set doubtful = false
from emission_records r join emitters e using (tenant, emitter)
where r.tenant = f.tenant and r.source = f.source and r.date = f.date and r.emitter = f.emitter
  and r.target = f.target and r.emitter_hash = e.hash;
create index emitted_files_doubtful on emitted_files (tenant, source, target) where doubtful;

drop view stale_files;
create view stale_files as
  select distinct on (f.tenant, f.source, f.target) f.*, here.dates as only_here
  from emitted_files f join source_state s using (tenant, source)
  -- Dates that its emitter has not carried elsewhere: those that a new lookback leaves out.
  cross join lateral (select count(*) as dates from emitted_files o
    where o.tenant = f.tenant and o.source = f.source and o.target = f.target
      and exists (select from emitters e where e.tenant = f.tenant and e.emitter = f.emitter)
      and not exists (select from emission_records r join emitters e using (tenant, emitter)
        where r.tenant = o.tenant and r.source = o.source and r.date = o.date and r.emitter = o.emitter
          and r.target <> o.target and r.emitter_hash = e.hash)) here
  where f.doubtful and s.in_force
    -- Its emitter is gone, or carries one of its dates elsewhere by now.
    and (not exists (select from emitters e where e.tenant = f.tenant and e.emitter = f.emitter)
      or exists (select from emitted_files o join emission_records r using (tenant, source, date, emitter)
        join emitters e using (tenant, emitter)
        where o.tenant = f.tenant and o.source = f.source and o.target = f.target
          and r.target <> o.target and r.emitter_hash = e.hash))
    and not exists (select from emitted_files o join emission_records r using (tenant, source, date)
      join emitters e on e.tenant = r.tenant and e.emitter = r.emitter
      where o.tenant = f.tenant and o.source = f.source and o.target = f.target
        and r.target = f.target and r.emitter_hash = e.hash)
    -- Who may still write it: what is due may have the same name.
    and not exists (select from pipeline_state p join emitters e using (tenant)
      left join emission_records r using (tenant, source, date, emitter)
      where p.tenant = f.tenant and p.source = f.source and p.unemitted and p.visible_generation > 0
        and in_lookback(p.date, e.lookback_days, e.monthly)
        and (r.generation is null or r.generation < p.visible_generation or r.emitter_hash is distinct from e.hash
          or r.compare or r.task is not null))
  order by f.tenant, f.source, f.target, f.put_at desc, f.date;
comment on view stale_files is 'files that were put in place earlier and that no configured emitter writes any more; of a source whose emissions are all done. Those with dates that are only_here stay';
