-- What changed on a date that was visible before: the old total, the new one, and why.
--
-- A commit remembers what its lines add up to and which generation it took the place of, so a change is two commits
-- compared. What was committed before this migration has neither, and shows nothing of it.

alter table commits
    add column previous int8,
    add column currencies text[],
    add column amounts numeric[];
create index commits_changes on commits (committed_at) where previous > 0;
comment on column commits.previous is 'the generation that was visible before it; 0 for none, null where that is not known';
comment on column commits.currencies is 'currencies of its lines, sorted; null where they are not known';
comment on column commits.amounts is 'what the lines of each add up to, UNALLOCATED included';

-- One row per change and currency; a change of nothing but who pays differs by 0.
create view changes as
select c.tenant, c.source, c.date, c.generation, c.previous, c.committed_at as changed_at,
    case when c.lines = 0 and p.lines > 0 then 'withdrawn'
        -- The same lines, usage, rules and drivers give the same rows: where the first three are equal, it is the last.
        else coalesce(nullif(concat_ws(', ',
            case when c.lines_hash <> p.lines_hash then 'lines' end,
            case when c.resolution_hash is distinct from p.resolution_hash then 'usage' end,
            case when c.rules <> p.rules then 'rules' end), ''), 'drivers')
    end as cause,
    s.currency, s.amount_before, s.amount_after, s.amount_after - s.amount_before as difference
from commits c
join commits p on p.tenant = c.tenant and p.source = c.source and p.date = c.date and p.generation = c.previous
cross join lateral (
    select coalesce(after.currency, before.currency) as currency,
        case when p.amounts is not null then coalesce(before.amount, 0) end as amount_before,
        case when c.amounts is not null then coalesce(after.amount, 0) end as amount_after
    from unnest(c.currencies, c.amounts) as after (currency, amount)
    full join unnest(p.currencies, p.amounts) as before (currency, amount) on before.currency = after.currency) s
where c.previous > 0 and (c.lines_hash <> p.lines_hash or c.rows_hash <> p.rows_hash);
comment on view changes is 'what became of the totals of dates that were calculated again, and why';
comment on column changes.cause is 'withdrawn, or which of lines, usage and rules differ; drivers where none of these does';
