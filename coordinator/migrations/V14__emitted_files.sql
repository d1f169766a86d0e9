-- The files that emitters put in place, so that those that no emitter writes any more can be taken away.

create table emitted_files (
  tenant text not null collate "C",
  source text not null collate "C",
  date date not null,
  target text not null collate "C",
  -- Who put it there last.
  emitter text not null collate "C",
  -- The folder that the emitter's files never leave.
  dir text not null collate "C",
  bytes bigint not null,
  hash bytea not null,
  put_at timestamptz not null default now(),
  -- Its removal, once it is stale.
  task text collate "C",
  dispatched_at timestamptz,
  attempts int not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_error text,
  kept text,
  primary key (tenant, source, target, date)
);
comment on table emitted_files is 'what lies outside: a row per date that a file holds';
comment on column emitted_files.kept is 'why a file that no emitter writes any more was left: it is no longer what was put there';
create index emitted_files_task on emitted_files (task) where task is not null;

-- What is recorded now says nothing of folders: the file's own is the narrowest.
insert into emitted_files (tenant, source, date, target, emitter, dir, bytes, hash, put_at)
  select tenant, source, date, target, emitter, regexp_replace(target, '/[^/]*$', ''), bytes, hash,
    coalesce(emitted_at, now())
  from emission_records where generation > 0 and target is not null and bytes is not null and hash is not null
  on conflict do nothing;

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
  where s.in_force
    -- Its emitter is gone, or carries one of its dates elsewhere by now.
    and (not exists (select from emitters e where e.tenant = f.tenant and e.emitter = f.emitter)
      or exists (select from emitted_files o join emission_records r using (tenant, source, date, emitter)
        join emitters e using (tenant, emitter)
        where o.tenant = f.tenant and o.source = f.source and o.target = f.target
          and r.target <> o.target and r.emitter_hash = e.hash))
    and not exists (select from emission_records r join emitters e using (tenant, emitter)
      where r.tenant = f.tenant and r.source = f.source and r.target = f.target and r.emitter_hash = e.hash)
    -- Who may still write it: what is due may have the same name.
    and not exists (select from pipeline_state p join emitters e using (tenant)
      left join emission_records r using (tenant, source, date, emitter)
      where p.tenant = f.tenant and p.source = f.source and p.visible_generation > 0
        and in_lookback(p.date, e.lookback_days, e.monthly)
        and (r.generation is null or r.generation < p.visible_generation or r.emitter_hash is distinct from e.hash
          or r.compare or r.task is not null))
  order by f.tenant, f.source, f.target, f.put_at desc, f.date;
comment on view stale_files is 'files that were put in place earlier and that no configured emitter writes any more; of a source whose emissions are all done. Those with dates that are only_here stay';
