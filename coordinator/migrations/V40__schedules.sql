-- When sources are gathered next, since when they cannot be, and which dates were not visible in time.

alter table source_state
    add column schedule text,
    add column next_gather_at timestamptz,
    add column failing_since timestamptz,
    add column sla text,
    add column sla_date date,
    add column sla_due_at timestamptz;
comment on column source_state.schedule is 'the schedule that next_gather_at is of; null: the default interval';
comment on column source_state.next_gather_at is 'when a standing run gathers it next; what passed meanwhile is made up once';
comment on column source_state.failing_since is 'since when no gather ended well; null: the last one did';
comment on column source_state.sla is 'by when its dates are to be visible; null: nobody asks';
comment on column source_state.sla_date is 'the date that is judged next, at sla_due_at; each is judged once';
create index source_state_sla on source_state (sla_due_at) where sla_due_at is not null;
update source_state set next_gather_at = done_at + interval '15 minutes' where done_at is not null;
update source_state set failing_since = now() where attempts > 0;

create table sla_breaches (
  tenant text not null collate "C",
  source text not null collate "C",
  date date not null,
  due_at timestamptz not null,
  recorded_at timestamptz not null default now(),
  visible_at timestamptz,
  late interval generated always as (visible_at - due_at) stored,
  primary key (tenant, source, date)
);
comment on table sla_breaches is 'dates that were not visible when they were to be; one row each';
comment on column sla_breaches.visible_at is 'when the date became visible; null: it has not yet';
comment on column sla_breaches.late is 'how much later that was than it should have been';
create index sla_breaches_open on sla_breaches (tenant, source, date) where visible_at is null;
create index sla_breaches_recorded on sla_breaches (recorded_at);
