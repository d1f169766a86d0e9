-- Settings that resolutions are made with: what was resolved with others is resolved again.

alter table pipeline_state add column resolve_settings bytea;
comment on column pipeline_state.resolve_settings is 'hash of the settings that the unit was last resolved with, or is being resolved with';
alter table source_state
    add column resolve_settings bytea,
    add column resolve_changed boolean not null default false;
comment on column source_state.resolve_settings is 'hash of the settings that its units are resolved with; null: they are not resolved';
comment on column source_state.resolve_changed is 'units may have been resolved with other settings: the sweep looks for them';
