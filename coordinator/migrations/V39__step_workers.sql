-- Which processes did a step of a run. What ran before this migration names none.

alter table run_steps add column workers text[] not null default '{}';
comment on column run_steps.workers is 'the processes that did it, as they call themselves; sorted';

-- A worker, if it is known, as a list.
create function named(worker text) returns text[] language sql immutable parallel safe
return case when worker is null then '{}'::text[] else array[worker] end;

-- Both lists as one, sorted, without a name twice; hundred names at most.
create function also_named(known text[], more text[]) returns text[] language sql immutable parallel safe
return case when more <@ known then known
    else (select (array_agg(name order by name))[:100] from (select unnest(known || more) as name group by 1) names) end;
