-- What is stored of visible dates is read again from time to time and compared with what it was made of.

alter table pipeline_state add column visible_checked_at timestamptz;
comment on column pipeline_state.visible_checked_at is 'when the facts of the visible generation were last compared; null: not yet; the ledger alone writes it';
-- What is to be compared next: of what never was, by when it became visible; of the rest, by when it last was.
create index pipeline_state_checked on pipeline_state (visible_checked_at nulls first, visible_at)
    where visible_generation > 0;

create table reconcile_findings (
    tenant text collate "C" not null,
    source text collate "C" not null,
    date date not null,
    what text collate "C" not null,
    generation int8 not null,
    expected text not null,
    found text not null,
    found_at timestamptz not null default now(),
    primary key (tenant, source, date, what),
    foreign key (tenant, source, date) references pipeline_state on delete cascade
);
comment on table reconcile_findings is 'what differed when the facts of a generation were last compared; see the view findings';
comment on column reconcile_findings.found_at is 'since when it is known';

create view findings as
select f.tenant, f.source, f.date, f.generation, f.what, f.expected, f.found, f.found_at
from reconcile_findings f
join pipeline_state p on p.tenant = f.tenant and p.source = f.source and p.date = f.date
    and p.visible_generation = f.generation;
comment on view findings is 'visible dates whose stored facts are not what they were made of: none, unless somebody altered them or a disk did';

-- One process at a time compares, and rests afterwards, however many could.
create table reconciler (
    one boolean primary key default true check (one),
    free_at timestamptz not null default now()
);
insert into reconciler default values;
comment on table reconciler is 'until when nobody begins to compare: somebody is at it, or live work is left alone';
