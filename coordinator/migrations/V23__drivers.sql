-- (No V19: the runner takes no number below one that has run.)
-- Weights that the ledger adds up for rules which share by cost of other units, and who asked for them.

-- One row per driver and window that is wanted.
create table drivers (
  tenant text not null collate "C",
  -- Of a ledger driver: the id of its table, a hash of all that decides the weights.
  driver text not null collate "C",
  from_date date not null,
  until_date date not null,
  -- What is in force; null: nothing yet.
  generation bigint,
  hash bytea,
  manifest bytea,
  -- The sum of the visible generations that it was added up from: it grows with each of them.
  seen numeric,
  computed_at timestamptz,
  -- The work under way.
  wanted_generation bigint not null default 0,
  task text collate "C",
  dispatched_at timestamptz,
  attempts int not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_error text,
  primary key (tenant, driver, from_date, until_date)
);
create index drivers_task on drivers (task) where task is not null;
comment on table drivers is 'weights that the ledger added up over a window, and whether they are to be added up again';

-- The weights themselves, written by the ledger: what explains rows, and what a dry run shares by.
create table driver_weights (
  tenant text not null collate "C",
  driver text not null collate "C",
  from_date date not null,
  until_date date not null,
  generation bigint not null,
  -- Values of the `within` fields, parted by U+001F.
  within text not null collate "C",
  party text not null collate "C",
  currency text not null collate "C",
  weight numeric not null,
  primary key (tenant, driver, from_date, until_date, generation, within, party, currency)
);
comment on table driver_weights is 'what the lines of a window cost each owner, as the ledger added it up';

-- What the lines of a unit asked for when its rows were last made; null: it was still to come.
create table unit_drivers (
  tenant text not null collate "C",
  source text not null collate "C",
  date date not null,
  driver text not null collate "C",
  from_date date not null,
  until_date date not null,
  hash bytea,
  -- The sources whose lines count.
  sources text[] not null,
  primary key (tenant, source, date, driver, from_date, until_date)
);
create index unit_drivers_window on unit_drivers (tenant, driver, from_date, until_date);
comment on table unit_drivers is 'which weights the rows of a date were made with';

-- Windows that visible dates ask for: whether their weights are those of what is visible now, and whether more is to come.
create view driver_windows as
select w.tenant, w.driver, w.from_date, w.until_date, w.source, w.sources, d.hash, d.task, d.last_error,
  coalesce(d.attempts, 0) as attempts, coalesce(d.next_attempt_at, now()) as next_attempt_at,
  coalesce(d.hash is not null and d.seen = s.seen, false) as fresh,
  w.until_date > (now() at time zone 'UTC')::date as running
from (select tenant, driver, from_date, until_date, min(source) as source, min(sources) as sources
      from unit_drivers join source_state i using (tenant, source) join pipeline_state u using (tenant, source, date)
      where i.in_force and u.state = 'visible' group by tenant, driver, from_date, until_date) w
left join drivers d using (tenant, driver, from_date, until_date)
cross join lateral (select coalesce(sum(visible_generation), 0) as seen from pipeline_state p
    where p.tenant = w.tenant and p.source = any(w.sources) and p.date >= w.from_date and p.date < w.until_date) s;
comment on view driver_windows is 'weights that are asked for, and whether they are up to date';

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
           and (u.hash is null or u.hash is distinct from w.hash or w.running or not w.fresh
             or exists (select from pipeline_state o where o.tenant = u.tenant and o.source = any(u.sources)
               and o.date >= u.from_date and o.date < u.until_date and o.state <> 'visible')))
         then 'provisional'
       else 'final' end as finality,
  p.resolve_attempts, p.resolve_lacking
from pipeline_state p join tenants t using (tenant);
comment on view units is 'where every date stands, for people: estimated while it is young, provisional while a driver that its rows use may still change';
