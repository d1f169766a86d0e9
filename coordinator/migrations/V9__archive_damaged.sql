-- An archive that was found damaged when it was to be restored: the next commit stores it again, whole.

alter table pipeline_state add column visible_archive_damaged boolean not null default false;
comment on column pipeline_state.visible_archive_damaged is 'the archive of the visible lines cannot be restored; the ledger alone writes it';
