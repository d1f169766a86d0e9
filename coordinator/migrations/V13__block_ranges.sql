-- Facts and lines are found by ranges of blocks instead of by row: a unit's rows lie together as they were copied, and a
-- b-tree entry for each of them took as long as the rows themselves. What few generations a range holds is remembered
-- (minmax_multi), so that room which a deleted generation left may be filled by others. The ledger's keeper summarises
-- new ranges; a query reads those that nobody has summarised yet.

drop index billing_generation;
drop index chargeback_facts_generation;
create index billing_generation on billing
    using brin (generation int8_minmax_multi_ops (values_per_range = 8)) with (pages_per_range = 32, autosummarize = on);
create index chargeback_facts_generation on chargeback_facts
    using brin (generation int8_minmax_multi_ops (values_per_range = 8)) with (pages_per_range = 32, autosummarize = on);

-- Where the next rows of a month will lie at the earliest: what was there before is not searched for them. Blocks that
-- others have reserved and not filled yet lie within the margin.
create function first_free_block(parent text, day date) returns int8 language sql stable
set search_path from current
as $$
  select greatest(0, coalesce(
      pg_relation_size(to_regclass(parent || '_' || to_char(day, 'YYYYMM')))
        / current_setting('block_size')::int8, 0) - 256)
$$;
comment on function first_free_block(text, date) is 'block of a month''s partition from which on rows that are stored now will lie, save for those that fill gaps';

-- Summarises what was stored since the last time; does nothing while somebody vacuums or analyses that partition.
create function summarise_month(day date) returns void language plpgsql
set search_path from current
as $$
declare
    part regclass;
    found regclass;
begin
    foreach part in array array[to_regclass('billing_' || to_char(day, 'YYYYMM')),
                                to_regclass('chargeback_facts_' || to_char(day, 'YYYYMM'))] loop
        for found in
            select i.indexrelid from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
            where i.indrelid = part and a.amname = 'brin'
        loop
            perform brin_summarize_new_values(found);
        end loop;
    end loop;
end
$$;
comment on function summarise_month(date) is 'lets queries of a month skip the blocks that were filled since it was last called';
