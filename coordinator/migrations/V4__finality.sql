-- Finality of a unit: derived from the day, so that it can never be stale. Never part of a row.

alter table tenants add column final_after_days int;
comment on column tenants.final_after_days is 'younger dates are estimated; null: a date is final at once';

create view units as
select p.tenant, p.source, p.date, p.state, p.lines_items as lines, p.withdrawn, p.visible_generation,
  p.visible_rows as rows, p.visible_at, p.attempts, p.last_error,
  case when p.visible_generation = 0 then null
       when p.date > (now() at time zone 'UTC')::date - coalesce(t.final_after_days, 0)
         and t.final_after_days is not null then 'estimated'
       else 'final' end as finality
from pipeline_state p join tenants t using (tenant);
comment on view units is 'where every date stands, for people';
