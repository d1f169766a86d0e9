-- Ranges of blocks lose values with plain minmax, too, only less often: 1 of 14,712 generations that were stored while
-- their ranges were summarised was not found by the index (Postgres 18.4). What is stored must be found, so lines and
-- pieces have b-trees. Several lines share a piece by now, so that there are few entries; nothing is summarised any more.
drop index billing_generation;
drop index chargeback_pieces_generation;
create index billing_generation on billing (generation, date);
create index chargeback_pieces_generation on chargeback_pieces (generation, date);
drop function summarise_month(date);
-- Nor does anybody ask where what is stored now will lie: the trees tell.
drop function first_free_block(text, date);
