-- `on_bad_line: hold`: derived from what is quarantined, so that it ends with it.

alter table tenants add column hold_bad_lines boolean not null default false;
comment on column tenants.hold_bad_lines is 'a date with a quarantined record is not calculated; what is visible of it stays';
create index quarantined_date on quarantined (tenant, source, date);
