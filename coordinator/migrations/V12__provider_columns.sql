-- The provider's own columns (`x_`) of a source: all of its FOCUS files have them, whatever date they hold.

create table provider_columns (
  tenant text not null collate "C",
  source text not null collate "C",
  name text not null collate "C",
  primary key (tenant, source, name)
);
comment on table provider_columns is 'columns that the bills of a source ever had beside those of FOCUS; only ever extended, so that its files have the same header for every date';

-- What earlier gathers read did not say: everything is read again. Dates whose lines are the same stay as they are.
update source_state set cursor = null;
