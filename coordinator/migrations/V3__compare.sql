-- Set from time to time for the newest emissions: what lies outside is to be compared with what is recorded here.
alter table emission_records add column compare boolean not null default false;
create index emission_records_compare on emission_records (tenant) where compare;
