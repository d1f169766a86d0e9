-- What a tier gives is the same for many lines: who takes part, with which share, and why. That is stored once, as a
-- split; of each line there is left the name of its split and the amounts of its parts, a piece. What was a row is one
-- part of a piece: `chargeback_facts` is a view of them. A tuple for each of them took several times as long to store,
-- and twice the room.

drop view chargebacks;
alter table chargeback_facts rename to old_facts;
alter index chargeback_facts_generation rename to old_facts_generation;

-- Who takes part, with which share, and why: in the order of the amounts of each piece that has it.
create table chargeback_splits (
    generation int8 not null,
    date date not null,
    split int4 not null,
    tenant text collate "C" not null,
    dimension int8[] not null,
    share_num numeric[] not null,
    share_den numeric[] not null,
    primary key (generation, date, split)
) partition by range (date);
comment on table chargeback_splits is 'who takes part in which lines, with which share, and why; numbered within a unit and generation';

-- A line, or where a composition or more than 50 parts part it, a piece of it.
create table chargeback_pieces (
    generation int8 not null,
    split int4 not null,
    date date not null,
    tenant text collate "C" not null,
    line bytea not null,
    amount numeric[] not null,
    billed numeric[],
    effective numeric[],
    contracted numeric[],
    list numeric[],
    pricing_quantity numeric[],
    consumed_quantity numeric[]
) partition by range (date);
create index chargeback_pieces_generation on chargeback_pieces
    using brin (generation int8_minmax_multi_ops (values_per_range = 8)) with (pages_per_range = 32, autosummarize = on);
comment on table chargeback_pieces is 'what each part of a line costs, in the order of its split; a measure of null equals amount';
comment on column chargeback_pieces.generation is 'the work that made it: pipeline_state.visible_generation';

create or replace function ensure_month_partition(day date) returns void language plpgsql
set search_path from current
as $$
declare
    first date := date_trunc('month', day::timestamp)::date;
    suffix text := to_char(first, 'YYYYMM');
    parent text;
    child text;
begin
    -- All are made in one transaction, so the last one speaks for all.
    if exists (select from pg_class where oid = to_regclass('line_archive_' || suffix) and relispartition) then
        return;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('apportion month partition', 0));
    foreach parent in array array['billing', 'chargeback_splits', 'chargeback_pieces', 'line_archive'] loop
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

create or replace function summarise_month(day date) returns void language plpgsql
set search_path from current
as $$
declare
    part regclass;
    found regclass;
begin
    foreach part in array array[to_regclass('billing_' || to_char(day, 'YYYYMM')),
                                to_regclass('chargeback_pieces_' || to_char(day, 'YYYYMM'))] loop
        for found in
            select i.indexrelid from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
            where i.indrelid = part and a.amname = 'brin'
        loop
            perform brin_summarize_new_values(found);
        end loop;
    end loop;
end
$$;

-- What is stored already: months that are there lack the new partitions.
do $$
declare
    old regclass;
    suffix text;
    first date;
    parent text;
begin
    for old in select inhrelid::regclass from pg_inherits where inhparent = 'old_facts'::regclass loop
        suffix := right(old::text, 6);
        first := to_date(suffix, 'YYYYMM');
        foreach parent in array array['chargeback_splits', 'chargeback_pieces'] loop
            execute format('create table %I (like %I including defaults including constraints including storage)',
                parent || '_' || suffix, parent);
            execute format('alter table %I attach partition %I for values from (%L) to (%L)',
                parent, parent || '_' || suffix, first, (first + interval '1 month')::date);
        end loop;
    end loop;
end
$$;
create temp table moved on commit drop as
with parts as (
    select *, (row_number() over (partition by generation, date, tenant, line order by tableoid, ctid) - 1) / 50 as piece,
        row_number() over (partition by generation, date, tenant, line order by tableoid, ctid) as part
    from old_facts),
pieces as (
    select generation, date, tenant, line, piece, min(part) as first,
        array_agg(dimension order by part) as dimension,
        array_agg(share_num order by part) as share_num,
        array_agg(share_den order by part) as share_den,
        array_agg(amount order by part) as amount,
        case when bool_or(billed is not null) then array_agg(billed order by part) end as billed,
        case when bool_or(effective is not null) then array_agg(effective order by part) end as effective,
        case when bool_or(contracted is not null) then array_agg(contracted order by part) end as contracted,
        case when bool_or(list is not null) then array_agg(list order by part) end as list,
        case when bool_or(pricing_quantity is not null) then array_agg(pricing_quantity order by part) end as pricing_quantity,
        case when bool_or(consumed_quantity is not null) then array_agg(consumed_quantity order by part) end as consumed_quantity
    from parts group by generation, date, tenant, line, piece)
select *, dense_rank() over (partition by generation, date order by tenant, dimension, share_num, share_den)::int4 as split
from pieces;
insert into chargeback_splits (generation, date, split, tenant, dimension, share_num, share_den)
select distinct on (generation, date, split) generation, date, split, tenant, dimension, share_num, share_den
from moved order by generation, date, split;
insert into chargeback_pieces (generation, split, date, tenant, line, amount, billed, effective, contracted, list,
    pricing_quantity, consumed_quantity)
select generation, split, date, tenant, line, amount, billed, effective, contracted, list, pricing_quantity,
    consumed_quantity
from moved order by generation, date, line, first;
drop table old_facts;

-- One part of a line that somebody owes. The fence (`offset 0`) has each split looked up by its key: without statistics
-- all splits might else be compared with each piece.
create view chargeback_facts as
select p.generation, unnest(s.dimension) as dimension, p.date, p.tenant, p.line, unnest(s.share_num) as share_num,
    unnest(s.share_den) as share_den, unnest(p.amount) as amount, unnest(p.billed) as billed,
    unnest(p.effective) as effective, unnest(p.contracted) as contracted, unnest(p.list) as list,
    unnest(p.pricing_quantity) as pricing_quantity, unnest(p.consumed_quantity) as consumed_quantity
from chargeback_pieces p
cross join lateral (select dimension, share_num, share_den from chargeback_splits
    where generation = p.generation and date = p.date and split = p.split offset 0) s;
comment on view chargeback_facts is 'who owes how much of which line; a measure of null equals amount';
comment on column chargeback_facts.generation is 'the work that made the row: pipeline_state.visible_generation';

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

-- One gather brings the lines of many dates: these are told apart, too.
drop index billing_generation;
create index billing_generation on billing
    using brin (generation int8_minmax_multi_ops (values_per_range = 8), date date_minmax_multi_ops (values_per_range = 8))
    with (pages_per_range = 32, autosummarize = on);

-- Plans name what becomes visible by a hash that is made differently now.
delete from plans;
