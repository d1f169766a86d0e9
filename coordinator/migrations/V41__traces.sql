-- The gather whose lines a task is about: what is done with them is one trace. 0: written before there were traces.
alter table tasks add column gathered int8 not null default 0;
