-- Weights that are measured: what could not be had is told, done without, and asked for again.

alter table drivers
  add column name text collate "C",
  add column lacking text,
  add column lacks int not null default 0,
  add column again_at timestamptz;
comment on column drivers.name is 'what people call the driver';
comment on column drivers.lacking is 'why its weights could not be had when they were last asked for; null: they could';
comment on column drivers.lacks is 'how often in a row they could not be had';
comment on column drivers.again_at is 'when they are asked for again, because they could not be had or their window was not over; null: never';

create or replace view driver_windows as
select w.tenant, w.driver, w.from_date, w.until_date, w.source, w.sources, d.hash, d.task, d.last_error,
  coalesce(d.attempts, 0) as attempts, coalesce(d.next_attempt_at, now()) as next_attempt_at,
  -- What is measured is of no source's rows.
  coalesce(d.hash is not null and (d.again_at is null or d.again_at > now())
    and (cardinality(w.sources) = 0 or d.basis = driver_basis(w.tenant, w.sources, w.from_date, w.until_date)), false) as fresh,
  w.until_date > (now() at time zone 'UTC')::date as running,
  d.name, d.lacking, d.again_at
from (select tenant, driver, from_date, until_date, min(source) as source, min(sources) as sources
      from unit_drivers join source_state i using (tenant, source) join pipeline_state u using (tenant, source, date)
      where i.in_force and u.state = 'visible' group by tenant, driver, from_date, until_date) w
left join drivers d using (tenant, driver, from_date, until_date);

create or replace view units as
select p.tenant, p.source, p.date, p.state, p.lines_items as lines, p.withdrawn, p.visible_generation,
  p.visible_rows as rows, p.visible_at, p.attempts, p.last_error,
  case when p.visible_generation = 0 then null
       when p.resolve_again_at is not null then 'provisional'
       when p.date > (now() at time zone 'UTC')::date - coalesce(t.final_after_days, 0)
         and t.final_after_days is not null then 'estimated'
       when exists (
         select from unit_drivers u
         left join driver_windows w using (tenant, driver, from_date, until_date)
         where u.tenant = p.tenant and u.source = p.source and u.date = p.date
           and (u.hash is null or u.hash is distinct from w.hash or w.running or not w.fresh or w.again_at is not null
             or exists (select from pipeline_state o where o.tenant = u.tenant and o.source = any(u.sources)
               and o.date >= u.from_date and o.date < u.until_date and o.state <> 'visible')))
         then 'provisional'
       else 'final' end as finality,
  p.resolve_attempts, p.resolve_lacking
from pipeline_state p join tenants t using (tenant);
