-- Dates that were removed because their tenant keeps nothing that old.

create table removed_dates (
  tenant text not null collate "C",
  source text not null collate "C",
  date date not null,
  -- What was visible of it, and what it added up to.
  generation bigint not null,
  rows bigint not null,
  currencies text[],
  amounts numeric[],
  removed_at timestamptz not null default now(),
  primary key (tenant, source, date)
);
comment on table removed_dates is 'dates older than their tenant''s `retention`, with what they cost; kept for ever';
comment on column commits.superseded_at is 'since when two newer generations have been visible, or the date has been removed: its facts may go';

alter table tenants add column kept_from date;
comment on column tenants.kept_from is 'dates before it are removed once nothing of them is to be done any more; null: all are kept';
