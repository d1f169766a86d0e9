-- The ledger's tables: written by the emitter's ledger alone, read by everybody.
--
-- One unit (tenant, source, date) has one visible generation in `pipeline_state`; everything here belongs to a
-- generation and is never changed once that generation is visible. A generation belongs to one source, so that facts
-- need no source of their own: it stands in their dimension.
--
-- Facts are narrow and have no index per row: COPY with a unique key is less than half as fast. What repeats lies in
-- dimensions, named by the first 64 bits of their content hash; `hash` holds 128, and a collision is refused.
-- Columns of fixed width come first: 16 bytes less per row than in reading order.

-- One row of a bill. Written once per content of a date's lines, under the generation of the gather that brought it.
create table billing (
    generation int8 not null,
    dimension int8 not null,
    charge_start timestamptz not null,
    charge_end timestamptz not null,
    date date not null,
    tenant text collate "C" not null,
    line bytea not null,
    amount numeric not null,
    billed numeric,
    effective numeric,
    contracted numeric,
    list numeric,
    pricing_quantity numeric,
    consumed_quantity numeric
) partition by range (date);
create index billing_generation on billing (generation, date);
comment on table billing is 'lines of bills; a measure of null equals amount';
comment on column billing.generation is 'the gather that brought the line: pipeline_state.visible_lines_generation';

-- What many lines have in common.
create table billing_dimensions (
    tenant text collate "C" not null,
    id int8 not null,
    hash bytea not null,
    source text collate "C" not null,
    currency text collate "C" not null,
    billing_period text collate "C" not null,
    invoice_id text collate "C",
    resource_id text collate "C",
    product_category text collate "C",
    product_type text collate "C",
    provider text collate "C",
    billing_account_id text collate "C",
    sub_account_id text collate "C",
    service text collate "C",
    charge_category text collate "C",
    charge_class text collate "C",
    pricing_unit text collate "C",
    consumed_unit text collate "C",
    primary key (tenant, id)
);
comment on table billing_dimensions is 'texts of lines, by content; rows are never changed';

-- One part of a line that somebody owes.
create table chargeback_facts (
    generation int8 not null,
    dimension int8 not null,
    date date not null,
    tenant text collate "C" not null,
    line bytea not null,
    share_num numeric not null,
    share_den numeric not null,
    amount numeric not null,
    billed numeric,
    effective numeric,
    contracted numeric,
    list numeric,
    pricing_quantity numeric,
    consumed_quantity numeric
) partition by range (date);
create index chargeback_facts_generation on chargeback_facts (generation, date);
comment on table chargeback_facts is 'who owes how much of which line; a measure of null equals amount';
comment on column chargeback_facts.generation is 'the work that made the row: pipeline_state.visible_generation';

-- Why rows are, and in which currency and period.
create table chargeback_dimensions (
    tenant text collate "C" not null,
    id int8 not null,
    hash bytea not null,
    source text collate "C" not null,
    currency text collate "C" not null,
    billing_period text collate "C" not null,
    booking_period text collate "C" not null,
    rule text collate "C" not null,
    tier int4 not null,
    part int4 not null,
    identity_id text collate "C" not null,
    owner_id text collate "C" not null,
    cost_type text collate "C" not null,
    allocation_method text collate "C" not null,
    allocation_detail text collate "C",
    entry text collate "C" not null,
    primary key (tenant, id)
);
comment on table chargeback_dimensions is 'rule, identity, owner and period of rows, by content; rows are never changed';

-- The messages that carried a generation's lines and resolutions, each zstd-compressed as it lay in the stream: every
-- cell of the provider is in them, and publishing them again at their old address restores what a stream has dropped.
create table line_archive (
    tenant text collate "C" not null,
    source text collate "C" not null,
    date date not null,
    kind text collate "C" not null check (kind in ('line', 'resolution')),
    generation int8 not null,
    batch int4 not null,
    payload bytea not null,
    primary key (tenant, source, date, kind, generation, batch)
) partition by range (date);
alter table line_archive alter column payload set storage external;
comment on table line_archive is 'zstd of the messages that carried lines and resolutions';

-- Every generation that ever became visible, and what it was made from.
create table commits (
    tenant text collate "C" not null,
    source text collate "C" not null,
    date date not null,
    generation int8 not null,
    lines_generation int8 not null,
    lines_hash bytea not null,
    lines int8 not null,
    resolution_generation int8,
    resolution_hash bytea,
    rows_hash bytea not null,
    rows int8 not null,
    rules bytea not null,
    config bytea not null,
    committed_at timestamptz not null default now(),
    superseded_at timestamptz,
    purged_at timestamptz,
    primary key (tenant, source, date, generation)
);
create index commits_to_purge on commits (superseded_at) where superseded_at is not null and purged_at is null;
comment on column commits.superseded_at is 'since when two newer generations have been visible: its facts may go';
comment on column commits.purged_at is 'when its facts, and what only it needed, were deleted';

-- Makes the partitions of a month, once, whoever asks; nothing but a look into the catalogue where they are there.
-- LIKE and ATTACH, for a plain PARTITION OF waits behind open inserts into the parent.
create function ensure_month_partition(day date) returns void language plpgsql
set search_path from current
as $$
declare
    first date := date_trunc('month', day::timestamp)::date;
    suffix text := to_char(first, 'YYYYMM');
    parent text;
    child text;
begin
    -- All three are made in one transaction, so the last one speaks for all.
    if exists (select from pg_class where oid = to_regclass('line_archive_' || suffix) and relispartition) then
        return;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('apportion month partition', 0));
    foreach parent in array array['billing', 'chargeback_facts', 'line_archive'] loop
        child := parent || '_' || suffix;
        if exists (select from pg_class where oid = to_regclass(child) and relispartition) then
            continue;
        end if;
        execute format('create table if not exists %I (like %I including defaults including constraints including storage)', child, parent);
        execute format('alter table %I attach partition %I for values from (%L) to (%L)',
            parent, child, first, (first + interval '1 month')::date);
    end loop;
end
$$;
comment on function ensure_month_partition(date) is 'makes the month partitions that a date needs';

-- What is visible, for people: every row with its line, as the outputs name the columns.
--
-- A unit's rows meet its lines in a full join behind a fence (`offset 0`): nothing can vanish in it, and it is hashed
-- or merged whatever the planner knows. Without statistics it might else compare each row with each line.
create view chargebacks as
select
    k.kind as ecosystem,
    s.tenant as tenant_id,
    s.source,
    s.date,
    s.visible_generation as generation,
    u.charge_start as "timestamp",
    u.charge_end as charge_period_end,
    encode(u.line, 'hex') as line_id,
    l.resource_id,
    l.product_category,
    l.product_type,
    d.identity_id,
    d.owner_id,
    d.cost_type,
    u.amount,
    d.currency,
    u.billed,
    u.effective,
    u.contracted,
    u.list,
    case when u.pricing_quantity is not null then u.pricing_quantity else u.consumed_quantity end as quantity,
    case when u.pricing_quantity is not null then l.pricing_unit
         when u.consumed_quantity is not null then l.consumed_unit end as unit,
    u.share_num,
    u.share_den,
    d.rule,
    d.tier,
    d.part,
    d.allocation_method,
    d.allocation_detail,
    d.billing_period,
    d.booking_period,
    d.entry,
    l.invoice_id,
    l.provider,
    l.billing_account_id,
    l.sub_account_id,
    l.service,
    l.charge_category,
    l.charge_class,
    s.visible_rules as rules,
    s.visible_config as config
from pipeline_state s
cross join lateral (
    select f.*, b.charge_start, b.charge_end, b.line_dimension
    from (
        select line, dimension, share_num, share_den, amount,
            coalesce(billed, amount) as billed, coalesce(effective, amount) as effective,
            coalesce(contracted, amount) as contracted, coalesce(list, amount) as list,
            pricing_quantity, consumed_quantity
        from chargeback_facts
        where tenant = s.tenant and date = s.date and generation = s.visible_generation
    ) f
    full join (
        select line, charge_start, charge_end, dimension as line_dimension
        from billing
        where tenant = s.tenant and date = s.date and generation = s.visible_lines_generation
    ) b on b.line = f.line
    offset 0
) u
left join chargeback_dimensions d on d.tenant = s.tenant and d.id = u.dimension
left join billing_dimensions l on l.tenant = s.tenant and l.id = u.line_dimension
left join source_state k on k.tenant = s.tenant and k.source = s.source
where s.visible_generation > 0;
comment on view chargebacks is 'all visible rows with their lines';

-- The bills as they are in force.
create view billing_lines as
select
    s.tenant as tenant_id,
    s.source,
    s.date,
    b.generation,
    b.charge_start as "timestamp",
    b.charge_end as charge_period_end,
    encode(b.line, 'hex') as line_id,
    b.amount,
    l.currency,
    coalesce(b.billed, b.amount) as billed,
    coalesce(b.effective, b.amount) as effective,
    coalesce(b.contracted, b.amount) as contracted,
    coalesce(b.list, b.amount) as list,
    b.pricing_quantity,
    l.pricing_unit,
    b.consumed_quantity,
    l.consumed_unit,
    l.billing_period,
    l.invoice_id,
    l.resource_id,
    l.product_category,
    l.product_type,
    l.provider,
    l.billing_account_id,
    l.sub_account_id,
    l.service,
    l.charge_category,
    l.charge_class
from pipeline_state s
join billing b on b.tenant = s.tenant and b.date = s.date and b.generation = s.visible_lines_generation
left join billing_dimensions l on l.tenant = b.tenant and l.id = b.dimension
where s.visible_generation > 0;
comment on view billing_lines is 'all visible lines';
