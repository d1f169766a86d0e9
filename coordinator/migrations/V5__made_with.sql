-- What work under way was made with: what it ends with must not be taken for the work of other settings.

-- Hash of the settings that the gather under way reads with.
alter table source_state add column gather_reading bytea;
-- Hash of the emitter's configuration that the emission under way obeys.
alter table emission_records add column wanted_hash bytea;
