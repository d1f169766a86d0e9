-- Rows that fill blocks which others have reserved are found by ranges of blocks, as those that fill gaps are: no margin
-- of blocks, full of others' rows, is read for their sake.
create or replace function first_free_block(parent text, day date) returns int8 language sql stable
set search_path from current
as $$
  select coalesce(
      pg_relation_size(to_regclass(parent || '_' || to_char(day, 'YYYYMM')))
        / current_setting('block_size')::int8, 0)
$$;
