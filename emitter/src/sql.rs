//! Every SQL statement of the emitter. The tables are those of `coordinator/migrations/V2__ledger.sql`, and of
//! `pipeline_state` (V1) the columns `visible_*`, which nobody else writes.

// Fresh facts have no statistics, and the planner takes millions of them for a handful. So statements here leave it no
// choice that would be ruinous then: tables are read by their ranges of blocks, aggregates are hashed, dimensions and
// splits are looked up by their whole key (`lateral … offset 0`, or all of a unit's at once as an array, in one pass over
// the index), rows and lines meet in a full join, which is hashed or merged.

/// Bounds of a ledger transaction: how long it waits for a lock, and how a statement is planned.
pub const COMMIT_BOUNDS: &str = "
set local lock_timeout = '10s'; set local statement_timeout = '30min';
set local jit = off; set local enable_sort = off; set local enable_seqscan = off; set local work_mem = '32MB';
set local max_parallel_workers_per_gather = 0";
/// Bounds of an emission.
pub const EMIT_BOUNDS: &str = "
set local lock_timeout = '10s'; set local statement_timeout = '30min';
set local jit = off; set local enable_seqscan = off; set local work_mem = '64MB'";

/// Makes the partitions of some dates. `$1` dates.
pub const ENSURE_MONTHS: &str = "select ensure_month_partition(day) from unnest($1::date[]) as day";

/// What is wanted and visible of some dates. `$1` tenant, `$2` source, `$3` dates.
pub const STATES: &str = "
select s.date, s.wanted_generation, s.visible_generation, s.visible_lines_generation, s.visible_lines_hash,
    c.resolution_generation, c.resolution_hash, s.visible_archive_damaged
from pipeline_state s
left join lateral (select resolution_generation, resolution_hash from commits
    where tenant = $1 and source = $2 and date = s.date and generation = s.visible_generation offset 0) c on true
where s.tenant = $1 and s.source = $2 and s.date = any($3)";

/// Stores dimensions that are not there. `$1` tenant, `$2` ids, `$3` hashes, then one array per text column.
pub const PUT_BILLING_DIMENSIONS: &str = "
insert into billing_dimensions (tenant, id, hash, source, currency, billing_period, invoice_id, resource_id,
    product_category, product_type, provider, billing_account_id, sub_account_id, service, charge_category,
    charge_class, pricing_unit, consumed_unit)
select $1, u.*
from unnest($2::int8[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
    $18::text[]) as u
on conflict do nothing";
/// The same for rows.
pub const PUT_CHARGEBACK_DIMENSIONS: &str = "
insert into chargeback_dimensions (tenant, id, hash, source, currency, billing_period, booking_period, rule, tier,
    part, identity_id, owner_id, cost_type, allocation_method, allocation_detail, entry)
select $1, u.id, u.hash, u.source, u.currency, u.billing_period, u.booking_period, u.rule, u.tier::int4, u.part::int4,
    u.identity_id, u.owner_id, u.cost_type, u.allocation_method, u.allocation_detail, u.entry
from unnest($2::int8[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[])
    as u (id, hash, source, currency, billing_period, booking_period, rule, tier, part, identity_id, owner_id,
        cost_type, allocation_method, allocation_detail, entry)
on conflict do nothing";
/// Ids whose stored hash differs from the one to be stored. `$1` tenant, `$2` ids, `$3` hashes.
pub const COLLIDING_BILLING_DIMENSIONS: &str = "
select u.id from unnest($2::int8[], $3::bytea[]) as u (id, hash)
cross join lateral (select hash from billing_dimensions where tenant = $1 and id = u.id offset 0) d
where d.hash <> u.hash limit 1";
/// The same for rows.
pub const COLLIDING_CHARGEBACK_DIMENSIONS: &str = "
select u.id from unnest($2::int8[], $3::bytea[]) as u (id, hash)
cross join lateral (select hash from chargeback_dimensions where tenant = $1 and id = u.id offset 0) d
where d.hash <> u.hash limit 1";

/// Lines in.
pub const COPY_BILLING: &str = "
copy billing (generation, dimension, charge_start, charge_end, date, tenant, line, amount,
    billed, effective, contracted, list, pricing_quantity, consumed_quantity) from stdin (format binary)";
/// Splits in.
pub const COPY_SPLITS: &str = "
copy chargeback_splits (generation, date, split, tenant, dimension, share_num, share_den) from stdin (format binary)";
/// Pieces in.
pub const COPY_PIECES: &str = "
copy chargeback_pieces (generation, split, date, tenant, line, amount, billed, effective, contracted, list,
    pricing_quantity, consumed_quantity, scale, quantity_scale, lines, units, billed_units, effective_units,
    contracted_units, list_units, pricing_units, consumed_units) from stdin (format binary)";
/// Messages in.
pub const COPY_ARCHIVE: &str = "copy line_archive (tenant, source, date, kind, generation, batch, payload) from stdin (format binary)";

/// Currency and period of each line of a unit. `$1` tenant, `$2` date, `$3` generation of the lines.
pub const LINE_PERIODS: &str = "
select b.line, d.currency, d.billing_period
from billing b
cross join lateral (select currency, billing_period from billing_dimensions
    where tenant = $1 and id = b.dimension offset 0) d
where b.tenant = $1 and b.date = $2 and b.generation = $3";

/// What is stored of some units. The generation comes first: it is what the index tells apart.
macro_rules! stored {
    ($columns:literal, $table:literal) => {
        concat!(
            "(select ",
            $columns,
            " from ",
            $table,
            " where generation = any($4) and date = any($3) and tenant = $1)"
        )
    };
}

// A measure is null where it equals the amount: its difference is summed. What has no dimension is left out, so that too
// few are found. Full joins within a fence (`offset 0`) are hashed whatever the planner believes.
/// Counts and sums of units' lines as stored. `$1` tenant, `$2` source, `$3` dates, `$4` generations.
pub const SUM_BILLING: &str = concat!("
with stored as materialized ", stored!("date, generation, dimension, amount, billed, effective, contracted, list", "billing"), ",
known as materialized (
    select id, currency, billing_period from billing_dimensions
    where tenant = $1 and id = any(array(select distinct dimension from stored)) and source = $2)
select date, generation, currency, billing_period, items, amount::text, (amount + billed)::text,
    (amount + effective)::text, (amount + contracted)::text, (amount + list)::text
from (
    select s.date, s.generation, k.currency, k.billing_period, count(*) as items, sum(amount) as amount,
        coalesce(sum(billed - amount) filter (where billed is not null), 0) as billed,
        coalesce(sum(effective - amount) filter (where effective is not null), 0) as effective,
        coalesce(sum(contracted - amount) filter (where contracted is not null), 0) as contracted,
        coalesce(sum(list - amount) filter (where list is not null), 0) as list
    from stored s full join known k on k.id = s.dimension
    group by s.date, s.generation, k.currency, k.billing_period offset 0) sums
where currency is not null");
// A tuple counts where it has an amount for each part of each of its lines, and where all parts of its split have a
// dimension and agree in currency and period. Numbers are added up tuple by tuple, which spares millions of look-ups in a
// table of groups; measures only where a tuple has some of its own.
/// The same for their rows.
pub const SUM_FACTS: &str = concat!("
with pieces as materialized (
    select p.date, p.generation, p.split, coalesce(cardinality(p.lines), 1) as lines, u.items + n.items as items,
        coalesce(u.amount * unit_worth(p.scale), n.amount) as amount,
        coalesce(m.billed * unit_worth(p.scale), n.billed) as billed,
        coalesce(m.effective * unit_worth(p.scale), n.effective) as effective,
        coalesce(m.contracted * unit_worth(p.scale), n.contracted) as contracted,
        coalesce(m.list * unit_worth(p.scale), n.list) as list
    from ", stored!("date, generation, split, lines, scale, units, billed_units, effective_units, contracted_units, list_units,
                amount, billed, effective, contracted, list", "chargeback_pieces"), " p
    cross join lateral (select count(amount) as items, sum(amount) as amount
        from (select unnest(p.units) as amount) parts) u
    cross join lateral (
        select sum(billed) - sum(amount) filter (where billed is not null) as billed,
            sum(effective) - sum(amount) filter (where effective is not null) as effective,
            sum(contracted) - sum(amount) filter (where contracted is not null) as contracted,
            sum(list) - sum(amount) filter (where list is not null) as list
        from (select unnest(p.units) as amount, unnest(p.billed_units) as billed,
                unnest(p.effective_units) as effective, unnest(p.contracted_units) as contracted,
                unnest(p.list_units) as list
            where num_nonnulls(p.billed_units, p.effective_units, p.contracted_units, p.list_units) > 0) parts) m
    cross join lateral (
        select count(amount) as items, sum(amount) as amount, sum(billed - amount) as billed,
            sum(effective - amount) as effective, sum(contracted - amount) as contracted, sum(list - amount) as list
        from (select unnest(p.amount) as amount, unnest(p.billed) as billed, unnest(p.effective) as effective,
                unnest(p.contracted) as contracted, unnest(p.list) as list where p.units is null) parts) n),
splits as materialized (
    select date, generation, split, unnest(dimension) as dimension
    from chargeback_splits where date = any($3) and generation = any($4)),
known as materialized (
    select id, currency, billing_period from chargeback_dimensions
    where tenant = $1 and id = any(array(select distinct dimension from splits)) and source = $2),
agreed as materialized (
    select s.date, s.generation, s.split, k.currency, k.billing_period, count(*) as parts
    from splits s full join known k on k.id = s.dimension
    group by s.date, s.generation, s.split, k.currency, k.billing_period)
select date, generation, currency, billing_period, sum(items)::int8, sum(amount)::text,
    (sum(amount) + coalesce(sum(billed), 0))::text, (sum(amount) + coalesce(sum(effective), 0))::text,
    (sum(amount) + coalesce(sum(contracted), 0))::text, (sum(amount) + coalesce(sum(list), 0))::text
from (
    select p.date, p.generation, p.split, a.currency, a.billing_period,
        case when p.items = p.lines * a.parts then p.items else 0 end as items, p.amount,
        p.billed, p.effective, p.contracted, p.list
    from pieces p
    full join agreed a on a.date = p.date and a.generation = p.generation and a.split = p.split
    offset 0) sums
where split is not null and currency is not null
group by date, generation, currency, billing_period");

/// Remembers what became visible. `$1` tenant, `$2` source, then one array per column; currencies and amounts of a unit
/// are the text of an array.
pub const PUT_COMMITS: &str = "
insert into commits (tenant, source, date, generation, lines_generation, lines_hash, lines, resolution_generation,
    resolution_hash, rows_hash, rows, rules, config, previous, currencies, amounts)
select $1, $2, u.date, u.generation, u.lines_generation, u.lines_hash, u.lines, u.resolution_generation,
    u.resolution_hash, u.rows_hash, u.rows, u.rules, u.config, u.previous, u.currencies::text[], u.amounts::numeric[]
from unnest($3::date[], $4::int8[], $5::int8[], $6::bytea[], $7::int8[], $8::int8[], $9::bytea[], $10::bytea[],
        $11::int8[], $12::bytea[], $13::bytea[], $14::int8[], $15::text[], $16::text[])
    as u (date, generation, lines_generation, lines_hash, lines, resolution_generation, resolution_hash, rows_hash, rows,
        rules, config, previous, currencies, amounts)";
/// Gives free what is older than the generation that was visible until now. `$1` tenant, `$2` source, `$3` dates,
/// `$4` those generations.
pub const SUPERSEDE_COMMITS: &str = "
update commits c set superseded_at = now()
from unnest($3::date[], $4::int8[]) as u (date, generation)
where c.tenant = $1 and c.source = $2 and c.date = u.date and c.generation < u.generation and c.superseded_at is null";
/// Locks units in key order, as the coordinator does. `$1` tenant, `$2` source, `$3` dates.
pub const LOCK_UNITS: &str = "
select date from pipeline_state where tenant = $1 and source = $2 and date = any($3) order by date for no key update";
/// Makes generations visible under the fence. `$1` tenant, `$2` source, then one array per column.
pub const MAKE_VISIBLE: &str = "
update pipeline_state s
set visible_generation = u.generation, visible_lines_generation = u.lines_generation,
    visible_lines_hash = u.lines_hash, visible_rows = u.rows, visible_rules = u.rules, visible_config = u.config,
    visible_at = clock_timestamp(), visible_checked_at = null,
    visible_archive_damaged = s.visible_archive_damaged and u.lines_generation = s.visible_lines_generation
from unnest($3::date[], $4::int8[], $5::int8[], $6::bytea[], $7::int8[], $8::bytea[], $9::bytea[])
    as u (date, generation, lines_generation, lines_hash, rows, rules, config)
where s.tenant = $1 and s.source = $2 and s.date = u.date
    and s.wanted_generation = u.generation and s.visible_generation < u.generation";

/// One generation whose facts may go; nobody else gets it until this transaction ends.
pub const NEXT_TO_PURGE: &str = "
select tenant, source, date, generation, lines_generation, resolution_generation
from commits where superseded_at is not null and purged_at is null
order by superseded_at limit 1 for update skip locked";
/// `$1` tenant, `$2` date, `$3` generation.
pub const PURGE_PIECES: &str =
    "delete from chargeback_pieces where tenant = $1 and date = $2 and generation = $3";
/// The same.
pub const PURGE_SPLITS: &str =
    "delete from chargeback_splits where tenant = $1 and date = $2 and generation = $3";
/// Unless another generation that is kept was made from these lines. `$1` tenant, `$2` date, `$3` generation of the
/// lines, `$4` source, `$5` the generation that goes.
pub const PURGE_BILLING: &str = "
delete from billing where tenant = $1 and date = $2 and generation = $3
    and not exists (select from commits where tenant = $1 and source = $4 and date = $2 and lines_generation = $3
        and generation <> $5 and purged_at is null)";
/// The same for the archive; `$6` generation of the resolutions.
pub const PURGE_ARCHIVE: &str = "
delete from line_archive a where a.tenant = $1 and a.source = $4 and a.date = $2
    and ((a.kind = 'line' and a.generation = $3
            and not exists (select from commits where tenant = $1 and source = $4 and date = $2
                and lines_generation = $3 and generation <> $5 and purged_at is null))
        or (a.kind = 'resolution' and a.generation = $6
            and not exists (select from commits where tenant = $1 and source = $4 and date = $2
                and resolution_generation = $6 and generation <> $5 and purged_at is null)))";
/// `$1` tenant, `$2` source, `$3` date, `$4` generation.
pub const PURGED: &str = "update commits set purged_at = now() where tenant = $1 and source = $2 and date = $3 and generation = $4";

/// Marks an archive that could not be restored. `$1` tenant, `$2` source, `$3` date, `$4` hash of its lines.
pub const MARK_DAMAGED: &str = "
update pipeline_state set visible_archive_damaged = true
where tenant = $1 and source = $2 and date = $3 and visible_lines_hash = $4";
/// The visible dates of a month. `$1` tenant, `$2` source, `$3` any date of it.
pub const VISIBLE_MONTH: &str = "
select date from pipeline_state
where tenant = $1 and source = $2 and visible_generation > 0
    and date >= date_trunc('month', $3::date)::date and date < (date_trunc('month', $3::date) + interval '1 month')::date
order by date";
/// The archived messages that a visible generation was made from. `$1` tenant, `$2` source, `$3` date.
pub const ARCHIVED: &str = "
select a.payload
from pipeline_state s
join commits c on c.tenant = s.tenant and c.source = s.source and c.date = s.date and c.generation = s.visible_generation
join line_archive a on a.tenant = s.tenant and a.source = s.source and a.date = s.date
    and ((a.kind = 'line' and a.generation = c.lines_generation)
        or (a.kind = 'resolution' and a.generation = c.resolution_generation))
where s.tenant = $1 and s.source = $2 and s.date = $3
order by a.kind, a.batch";

/// Hash of the resolutions that a visible generation was made from. `$1` tenant, `$2` source, `$3` date.
pub const RESOLUTIONS_HASH: &str = "
select c.resolution_hash
from pipeline_state s
join commits c on c.tenant = s.tenant and c.source = s.source and c.date = s.date and c.generation = s.visible_generation
where s.tenant = $1 and s.source = $2 and s.date = $3";
/// The archived messages of a generation of lines, in the order of the bill. `$1` tenant, `$2` source, `$3` date,
/// `$4` the generation.
pub const ARCHIVED_LINES: &str = "
select payload from line_archive
where tenant = $1 and source = $2 and date = $3 and kind = 'line' and generation = $4
order by batch";

/// The provider's own columns that bills of a source ever had. `$1` tenant, `$2` source.
pub const PROVIDER_COLUMNS: &str =
    "select name from provider_columns where tenant = $1 and source = $2";
/// One emitter at a time on one unit; given back when the transaction ends. `$1` key.
pub const TRY_LOCK: &str = "select pg_try_advisory_xact_lock($1)";
/// What is visible of a unit. `$1` tenant, `$2` source, `$3` date.
pub const VISIBLE: &str = "
select visible_generation, visible_lines_generation, visible_rows
from pipeline_state where tenant = $1 and source = $2 and date = $3";
/// Rows of a unit with their lines, by charge start and line; one without the other shows, too. `$1` tenant, `$2` date, `$3` generation of the rows,
/// `$4` of the lines.
pub const VISIBLE_ROWS: &str = "
select b.charge_start, b.charge_end, b.dimension, coalesce(b.line, f.line) as line, f.dimension, f.amount,
    f.billed, f.effective, f.contracted, f.list, f.pricing_quantity, f.consumed_quantity
from (select * from chargeback_facts where tenant = $1 and date = $2 and generation = $3) f
full join (select line, dimension, charge_start, charge_end from billing
    where tenant = $1 and date = $2 and generation = $4) b on b.line = f.line
order by b.charge_start, 4";
/// Where each line of some dates stands in its date's bill, as long as a transaction lives.
pub const CREATE_LINE_PLACES: &str = "create temp table line_places (date date not null, line bytea not null, place int8 not null) on commit drop";
/// Places in.
pub const COPY_LINE_PLACES: &str =
    "copy line_places (date, line, place) from stdin (format binary)";
/// The same rows by the line's place in its bill, with that and their shares; one without another shows, too.
pub const PLACED_ROWS: &str = "
select u.charge_start, u.charge_end, u.line_dimension, coalesce(u.line, p.line) as line, u.dimension, u.amount,
    u.billed, u.effective, u.contracted, u.list, u.pricing_quantity, u.consumed_quantity,
    p.place, u.share_num::text, u.share_den::text
from (
    select b.charge_start, b.charge_end, b.dimension as line_dimension, coalesce(b.line, f.line) as line, f.dimension,
        f.amount, f.billed, f.effective, f.contracted, f.list, f.pricing_quantity, f.consumed_quantity,
        f.share_num, f.share_den
    from (select * from chargeback_facts where tenant = $1 and date = $2 and generation = $3) f
    full join (select line, dimension, charge_start, charge_end from billing
        where tenant = $1 and date = $2 and generation = $4) b on b.line = f.line
    offset 0) u
full join (select line, place from line_places where date = $2) p on p.line = u.line
order by p.place";
/// Dimensions of lines. `$1` tenant, `$2` ids.
pub const GET_BILLING_DIMENSIONS: &str = "
select id, currency, billing_period, invoice_id, resource_id, product_category, product_type, provider,
    billing_account_id, sub_account_id, service, charge_category, charge_class, pricing_unit, consumed_unit
from billing_dimensions where tenant = $1 and id = any($2)";
/// Dimensions of rows. `$1` tenant, `$2` ids.
pub const GET_CHARGEBACK_DIMENSIONS: &str = "
select id, tier, part, identity_id, owner_id, rule, cost_type, allocation_method, allocation_detail, booking_period,
    entry
from chargeback_dimensions where tenant = $1 and id = any($2)";

/// The visible units of a window. `$1` tenant, `$2` sources, `$3` first date, `$4` first date after.
pub const DRIVER_UNITS: &str = "
select date, visible_generation, visible_lines_generation from pipeline_state
where tenant = $1 and source = any($2) and date >= $3 and date < $4 and visible_generation > 0
order by date, source";
/// A digest of the same units, as the coordinator compares it. The same parameters.
pub const DRIVER_BASIS: &str = "select driver_basis($1, $2, $3, $4)";
/// What the lines of a unit have in common, in the order of `proto::config::ledger::LEDGER_FIELDS`. `$1` tenant, `$2`
/// date, `$3` generation of the lines.
pub const DRIVER_DIMENSIONS: &str = "
select d.id, d.source, d.product_type, d.invoice_id, d.resource_id, d.product_category, d.provider,
    d.billing_account_id, d.sub_account_id, d.service, d.charge_category, d.charge_class, d.pricing_unit,
    d.consumed_unit
from (select distinct dimension from billing where tenant = $1 and date = $2 and generation = $3) s
cross join lateral (select * from billing_dimensions where tenant = $1 and id = s.dimension offset 0) d";
/// What a unit costs each owner, by group of lines and currency. `$1` tenant, `$2` date, `$3` generation of the rows,
/// `$4` of the lines, `$5` dimensions of lines that count, `$6` the group of each, `$7` rules that do not count, `$8`
/// which measure: 0 the amount, else its place among them.
pub const DRIVER_SUMS: &str = "
select s.place, d.owner_id, d.currency, sum(s.value)::text
from (
    select l.place, f.dimension, sum(f.value) as value
    from (select line, dimension,
            coalesce(case $8 when 1 then billed when 2 then effective when 3 then contracted when 4 then list end, amount)
                as value
        from chargeback_facts where tenant = $1 and date = $2 and generation = $3) f
    join (select line, dimension from billing where tenant = $1 and date = $2 and generation = $4) b on b.line = f.line
    join unnest($5::int8[], $6::int4[]) as l (id, place) on l.id = b.dimension
    group by l.place, f.dimension offset 0) s
cross join lateral (select owner_id, currency, rule from chargeback_dimensions
    where tenant = $1 and id = s.dimension offset 0) d
where d.owner_id <> 'UNALLOCATED' and d.rule <> all($7)
group by s.place, d.owner_id, d.currency";
/// Keeps weights beside the messages. `$1` tenant, `$2` driver, `$3` first date, `$4` first date after, `$5` generation,
/// then one array per column.
pub const PUT_DRIVER_WEIGHTS: &str = "
insert into driver_weights (tenant, driver, from_date, until_date, generation, within, party, currency, weight)
select $1, $2, $3, $4, $5, u.within, u.party, u.currency, u.weight::numeric
from unnest($6::text[], $7::text[], $8::text[], $9::text[]) as u (within, party, currency, weight)
on conflict do nothing";
/// Forgets weights that are neither these nor in force. The same first five.
pub const DROP_DRIVER_WEIGHTS: &str = "
delete from driver_weights w
where w.tenant = $1 and w.driver = $2 and w.from_date = $3 and w.until_date = $4 and w.generation <> $5
    and not exists (select from drivers d where d.tenant = $1 and d.driver = $2 and d.from_date = $3
        and d.until_date = $4 and d.generation = w.generation)";

/// Bounds of a comparison: it waits for nobody, and takes little.
pub const RECONCILE_BOUNDS: &str = "
set local lock_timeout = '2s'; set local statement_timeout = '30min';
set local jit = off; set local enable_seqscan = off; set local work_mem = '16MB';
set local max_parallel_workers_per_gather = 0";
/// Whether nobody compares now, and if so, nobody else does for a while. `$1` for how long at most, in seconds.
pub const RECONCILE_CLAIM: &str = "
update reconciler set free_at = now() + make_interval(secs => $1) where free_at <= now()";
/// When somebody may begin again. `$1` in so many seconds.
pub const RECONCILE_RELEASE: &str =
    "update reconciler set free_at = now() + make_interval(secs => $1)";
/// Units to be compared next, half of them never compared and half for the longest time not; and whether one is late by
/// half a period. `$1` how many of each, `$2` since when a unit has to be visible, in seconds, `$3`
/// the period, in seconds.
pub const RECONCILE_DUE: &str = "
with new as (
    select tenant, source, date, visible_at < now() - 1.5 * make_interval(secs => $3) as late,
        row_number() over (order by visible_at desc) as place
    from (select tenant, source, date, visible_at from pipeline_state
        where visible_generation > 0 and visible_checked_at is null and visible_at < now() - make_interval(secs => $2)
        order by visible_at desc limit $1) newest),
old as (
    select tenant, source, date, visible_checked_at < now() - 1.5 * make_interval(secs => $3) as late,
        row_number() over (order by visible_checked_at) as place
    from (select tenant, source, date, visible_checked_at from pipeline_state
        where visible_generation > 0 and visible_checked_at < now() - make_interval(secs => $3)
        order by visible_checked_at limit $1) longest)
select tenant, source, date, late from (select * from new union all select * from old) due order by place";
/// The next visible units of some, by key. `$1` tenant or null, `$2` source or null, `$3` first date or null, `$4` last
/// date or null, `$5` to `$7` the key before or nulls, `$8` how many.
pub const RECONCILE_SCOPE: &str = "
select tenant, source, date from pipeline_state
where visible_generation > 0 and ($1::text is null or tenant = $1) and ($2::text is null or source = $2)
    and ($3::date is null or date >= $3) and ($4::date is null or date <= $4)
    and ($5::text is null or (tenant, source, date) > ($5, $6, $7::date))
order by tenant, source, date limit $8";
/// What is visible of a unit, and what it says of itself. `$1` tenant, `$2` source, `$3` date.
pub const RECONCILE_UNIT: &str = "
select s.visible_generation, c.generation is not null, s.visible_lines_generation, s.visible_lines_hash, s.visible_rows,
    c.lines_generation, c.lines_hash, c.lines, c.resolution_hash, c.rows_hash, c.rows, c.currencies, c.amounts::text[]
from pipeline_state s
left join commits c on c.tenant = s.tenant and c.source = s.source and c.date = s.date and c.generation = s.visible_generation
where s.tenant = $1 and s.source = $2 and s.date = $3 and s.visible_generation > 0";
/// Lines as stored. `$1` tenant, `$2` date, `$3` generation of the lines.
pub const RECONCILE_LINES: &str = "
select line, dimension, charge_start, charge_end, amount, billed, effective, contracted, list, pricing_quantity,
    consumed_quantity
from billing where tenant = $1 and date = $2 and generation = $3";
/// Pieces as stored, with their splits. `$1` tenant, `$2` date, `$3` generation.
pub const RECONCILE_PIECES: &str = "
select p.split, s.dimension, s.share_num::text[], s.share_den::text[], p.scale, p.quantity_scale, p.lines, p.units,
    p.billed_units, p.effective_units, p.contracted_units, p.list_units, p.pricing_units, p.consumed_units, p.line,
    p.amount, p.billed, p.effective, p.contracted, p.list, p.pricing_quantity, p.consumed_quantity
from chargeback_pieces p
left join lateral (select dimension, share_num, share_den from chargeback_splits
    where generation = p.generation and date = p.date and split = p.split offset 0) s on true
where p.tenant = $1 and p.date = $2 and p.generation = $3";
/// Dimensions of lines, whole. `$1` tenant, `$2` ids.
pub const RECONCILE_BILLING_DIMENSIONS: &str = "
select id, hash, source, currency, billing_period, invoice_id, resource_id, product_category, product_type, provider,
    billing_account_id, sub_account_id, service, charge_category, charge_class, pricing_unit, consumed_unit
from billing_dimensions where tenant = $1 and id = any($2)";
/// The same of rows.
pub const RECONCILE_CHARGEBACK_DIMENSIONS: &str = "
select id, hash, source, currency, billing_period, booking_period, rule, tier::text, part::text, identity_id, owner_id,
    cost_type, allocation_method, allocation_detail, entry
from chargeback_dimensions where tenant = $1 and id = any($2)";
/// Remembers that a generation was compared, if it is still visible. `$1` tenant, `$2` source, `$3` date, `$4`
/// generation.
pub const RECONCILE_MARK: &str = "
update pipeline_state set visible_checked_at = now()
where tenant = $1 and source = $2 and date = $3 and visible_generation = $4";
/// Forgets what no longer differs. `$1` tenant, `$2` source, `$3` date, `$4` what differs.
pub const RECONCILE_CLEAR: &str = "
delete from reconcile_findings where tenant = $1 and source = $2 and date = $3 and what <> all($4)";
/// Remembers what differs. `$1` tenant, `$2` source, `$3` date, `$4` generation, then what, expected and found.
pub const RECONCILE_PUT: &str = "
insert into reconcile_findings as f (tenant, source, date, generation, what, expected, found)
select $1, $2, $3, $4, u.what, u.expected, u.found
from unnest($5::text[], $6::text[], $7::text[]) as u (what, expected, found)
on conflict (tenant, source, date, what) do update
set found_at = case when f.generation = excluded.generation then f.found_at else now() end,
    generation = excluded.generation, expected = excluded.expected, found = excluded.found";
