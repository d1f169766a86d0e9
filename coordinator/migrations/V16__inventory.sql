-- Resources and identities with their lifetimes, and the guard over what is missing.

-- One row for each stretch of time in which a resource was the same. Rows of one resource follow each other without
-- overlap; only the last may still run.
create table resources (
    tenant text not null collate "C",
    source text not null collate "C",
    type text not null collate "C",
    id text not null collate "C",
    -- -infinity: the provider does not say since when.
    valid_from timestamptz not null,
    valid_to timestamptz not null default 'infinity',
    display_name text,
    parent text collate "C",
    owner text collate "C",
    attributes jsonb not null default '{}',
    -- Hash of parent, owner and attributes: another one begins another row.
    facts bytea not null,
    -- The gather that found it so first.
    generation bigint not null,
    -- While it runs: the complete gather that did not find it first, when, and when it ended if it did.
    missing_generation bigint,
    missing_since timestamptz,
    ends_at timestamptz,
    -- A person said that it did not end.
    kept boolean not null default false,
    primary key (tenant, source, type, id, valid_from),
    check (valid_from < valid_to)
);
create unique index resources_running on resources (tenant, source, type, id) where valid_to = 'infinity';
comment on table resources is 'what cost money: a row per stretch of time in which it was the same, valid_from included, valid_to not';

create table identities (
    tenant text not null collate "C",
    source text not null collate "C",
    type text not null collate "C",
    id text not null collate "C",
    valid_from timestamptz not null,
    valid_to timestamptz not null default 'infinity',
    display_name text,
    attributes jsonb not null default '{}',
    facts bytea not null,
    generation bigint not null,
    missing_generation bigint,
    missing_since timestamptz,
    ends_at timestamptz,
    kept boolean not null default false,
    primary key (tenant, source, type, id, valid_from),
    check (valid_from < valid_to)
);
create unique index identities_running on identities (tenant, source, type, id) where valid_to = 'infinity';
comment on table identities is 'who can cause cost: a row per stretch of time in which it was the same, valid_from included, valid_to not';

create function lifetime_has_ended() returns trigger language plpgsql as $$
begin
    raise exception 'a lifetime of % % has ended: it is never changed', old.type, old.id;
end
$$;
create trigger resources_history before update on resources for each row
    when (old.valid_to <> 'infinity') execute function lifetime_has_ended();
create trigger identities_history before update on identities for each row
    when (old.valid_to <> 'infinity') execute function lifetime_has_ended();

-- What there was at a moment, and in a period (its end not included), as it was then.
create function resources_at(of_tenant text, moment timestamptz) returns setof resources
language sql stable set search_path from current as $$
    select * from resources where tenant = of_tenant and valid_from <= moment and moment < valid_to
$$;
create function resources_in(of_tenant text, from_moment timestamptz, to_moment timestamptz) returns setof resources
language sql stable set search_path from current as $$
    select * from resources
    where tenant = of_tenant and from_moment < to_moment and valid_from < to_moment and from_moment < valid_to
$$;
create function identities_at(of_tenant text, moment timestamptz) returns setof identities
language sql stable set search_path from current as $$
    select * from identities where tenant = of_tenant and valid_from <= moment and moment < valid_to
$$;
create function identities_in(of_tenant text, from_moment timestamptz, to_moment timestamptz) returns setof identities
language sql stable set search_path from current as $$
    select * from identities
    where tenant = of_tenant and from_moment < to_moment and valid_from < to_moment and from_moment < valid_to
$$;

-- The inventory in force: the gather that brought it, and what it found and spoke for.
alter table source_state add column inventory_generation bigint;
alter table source_state add column inventory_content bytea;

-- The owner of what nobody could be found for, of every source.
insert into identities (tenant, source, type, id, valid_from, display_name, facts, generation)
    select tenant, source, 'system', 'UNALLOCATED', '-infinity', 'Unallocated costs', '', 0 from source_state;

-- Visible dates that a source no longer has, while it is doubtful that they are to be emptied.
alter table pipeline_state add column missing_generation bigint;
alter table pipeline_state add column missing_since timestamptz;
alter table pipeline_state add column missing_kept boolean not null default false;
create index pipeline_state_missing on pipeline_state (tenant, source) where missing_generation is not null;

-- All of one type that a source has; `date`: its visible dates.
create table populations (
    tenant text not null collate "C",
    source text not null collate "C",
    class text not null collate "C" check (class in ('resource', 'identity', 'date')),
    type text not null collate "C",
    -- Doubtful gathers in a row, since when, and the last gather that counted.
    streak int not null default 0,
    first_at timestamptz,
    counted_generation bigint not null default 0,
    counted_at timestamptz,
    -- What that gather found: how many lived before, and how many of those it did not find.
    active bigint not null default 0,
    missing bigint not null default 0,
    -- How many of those wait, and for what: so many gathers in a row (null: a person) and this moment.
    waiting bigint not null default 0,
    threshold int,
    lasts_until timestamptz,
    primary key (tenant, source, class, type)
);
comment on table populations is 'what is remembered from gather to gather, so that a fault of a provider deletes nothing';

-- What persons decided about what waits. Written by commands, applied by the coordinator, kept for ever.
create table guard_decisions (
    id bigint primary key generated always as identity,
    tenant text not null collate "C",
    source text not null collate "C",
    class text not null collate "C",
    type text not null collate "C",
    decision text not null check (decision in ('confirmed', 'rejected')),
    -- The last gather that the person saw: what later ones miss is not decided.
    generation bigint not null,
    decided_at timestamptz not null default now(),
    decided_by text not null,
    applied_at timestamptz,
    affected bigint
);
create index guard_decisions_open on guard_decisions (id) where applied_at is null;
