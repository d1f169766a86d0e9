-- Lines of one split lie together in one tuple, and their amounts are whole numbers of one scale: fewer tuples, and
-- numbers that are received and added up in a fraction of the time. Where an amount does not fit in 63 bits, a piece is
-- stored as all were until now, alone and with numbers of any width; so what is stored already stays as it lies.

alter table chargeback_pieces
    alter column line drop not null,
    alter column amount drop not null,
    add column scale int2,
    add column quantity_scale int2,
    add column lines bytea[],
    add column units int8[],
    add column billed_units int8[],
    add column effective_units int8[],
    add column contracted_units int8[],
    add column list_units int8[],
    add column pricing_units int8[],
    add column consumed_units int8[],
    add constraint chargeback_pieces_form check (case when units is null
        then line is not null and amount is not null and lines is null
        else line is null and amount is null and lines is not null and scale is not null end);
comment on table chargeback_pieces is
    'what each part of a line, or of several lines of one split, costs, in the order of the split; a measure of null equals amount';
comment on column chargeback_pieces.lines is 'whose units follow one another, as many for each as its split has parts';
comment on column chargeback_pieces.units is 'amounts, times 10 to the power of scale';
comment on column chargeback_pieces.billed_units is 'as units; so are effective, contracted and list';
comment on column chargeback_pieces.pricing_units is 'quantities, times 10 to the power of quantity_scale';
comment on column chargeback_pieces.line is 'where a number does not fit in 63 bits: the only line, its numbers in amount to consumed_quantity';

-- What one unit of each scale is worth, from 0 to 28 decimals: exact, and looked up once per tuple.
create function unit_worth(scale int2) returns numeric language sql immutable parallel safe
return ('{1,0.1,0.01,0.001,0.0001,0.00001,0.000001,0.0000001,0.00000001,0.000000001,0.0000000001,0.00000000001,0.000000000001,0.0000000000001,0.00000000000001,0.000000000000001,0.0000000000000001,0.00000000000000001,0.000000000000000001,0.0000000000000000001,0.00000000000000000001,0.000000000000000000001,0.0000000000000000000001,0.00000000000000000000001,0.000000000000000000000001,0.0000000000000000000000001,0.00000000000000000000000001,0.000000000000000000000000001,0.0000000000000000000000000001}'::numeric[])[scale + 1];
comment on function unit_worth(int2) is '10 to the power of -scale';

-- The units of one of a tuple's lines.
create function of_line(units int8[], place int8, parts int4) returns int8[] language sql immutable parallel safe
return units[(place - 1) * parts + 1 : place * parts];
comment on function of_line(int8[], int8, int4) is 'of a tuple''s units those of the line in this place, from 1, of so many parts';

-- One part of a line that somebody owes. The fence (`offset 0`) has each split looked up by its key: without statistics
-- all splits might else be compared with each piece.
create or replace view chargeback_facts as
select generation, dimension, date, tenant, line, share_num, share_den,
    coalesce(amount, trim_scale(units * worth)) as amount,
    coalesce(billed, trim_scale(billed_units * worth)) as billed,
    coalesce(effective, trim_scale(effective_units * worth)) as effective,
    coalesce(contracted, trim_scale(contracted_units * worth)) as contracted,
    coalesce(list, trim_scale(list_units * worth)) as list,
    coalesce(pricing_quantity, trim_scale(pricing_units * quantity_worth)) as pricing_quantity,
    coalesce(consumed_quantity, trim_scale(consumed_units * quantity_worth)) as consumed_quantity
from (
    select p.generation, p.date, p.tenant, l.line, unit_worth(p.scale) as worth,
        unit_worth(p.quantity_scale) as quantity_worth,
        unnest(s.dimension) as dimension, unnest(s.share_num) as share_num, unnest(s.share_den) as share_den,
        unnest(p.amount) as amount, unnest(p.billed) as billed, unnest(p.effective) as effective,
        unnest(p.contracted) as contracted, unnest(p.list) as list, unnest(p.pricing_quantity) as pricing_quantity,
        unnest(p.consumed_quantity) as consumed_quantity,
        unnest(of_line(p.units, l.place, s.parts)) as units,
        unnest(of_line(p.billed_units, l.place, s.parts)) as billed_units,
        unnest(of_line(p.effective_units, l.place, s.parts)) as effective_units,
        unnest(of_line(p.contracted_units, l.place, s.parts)) as contracted_units,
        unnest(of_line(p.list_units, l.place, s.parts)) as list_units,
        unnest(of_line(p.pricing_units, l.place, s.parts)) as pricing_units,
        unnest(of_line(p.consumed_units, l.place, s.parts)) as consumed_units
    from chargeback_pieces p
    cross join lateral (select dimension, share_num, share_den, cardinality(dimension) as parts
        from chargeback_splits where generation = p.generation and date = p.date and split = p.split offset 0) s
    cross join lateral unnest(coalesce(p.lines, array[p.line])) with ordinality as l (line, place)) parts;
