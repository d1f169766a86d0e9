-- What weights were added up from, told exactly: sums of different generations can be equal.

create function driver_basis(of_tenant text, of_sources text[], first_day date, day_after date) returns text
language sql stable parallel safe
begin atomic
  select encode(sha256(convert_to(coalesce(string_agg(
      p.source || ' ' || (p.date - date '2000-01-01') || ' ' || p.visible_generation, ',' order by p.source, p.date), ''),
    'UTF8')), 'hex')
  from pipeline_state p
  where p.tenant = of_tenant and p.source = any(of_sources) and p.date >= first_day and p.date < day_after
    and p.visible_generation > 0;
end;
comment on function driver_basis is 'digest of the visible generations of some sources and days';

alter table drivers add column basis text collate "C";
comment on column drivers.basis is 'of which visible generations the weights are: driver_basis';

create or replace view driver_windows as
select w.tenant, w.driver, w.from_date, w.until_date, w.source, w.sources, d.hash, d.task, d.last_error,
  coalesce(d.attempts, 0) as attempts, coalesce(d.next_attempt_at, now()) as next_attempt_at,
  coalesce(d.hash is not null and d.basis = driver_basis(w.tenant, w.sources, w.from_date, w.until_date), false) as fresh,
  w.until_date > (now() at time zone 'UTC')::date as running
from (select tenant, driver, from_date, until_date, min(source) as source, min(sources) as sources
      from unit_drivers join source_state i using (tenant, source) join pipeline_state u using (tenant, source, date)
      where i.in_force and u.state = 'visible' group by tenant, driver, from_date, until_date) w
left join drivers d using (tenant, driver, from_date, until_date);

alter table drivers drop column seen;
