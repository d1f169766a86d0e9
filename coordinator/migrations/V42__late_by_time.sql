-- A day without lines stays late for good: those of the last days are found by their time, however many there are.
drop index sla_breaches_open;
create index sla_breaches_open on sla_breaches (due_at) where visible_at is null;
