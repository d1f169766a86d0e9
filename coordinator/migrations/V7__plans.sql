-- Dry runs: what changed rules, owners or tables would move on visible dates. Never rows: the difference and its digest.

create table plans (
  tenant text not null collate "C",
  -- Of what would be visible: equal digests, equal rows.
  digest bytea not null,
  -- The candidate.
  config_hash bytea not null,
  git_commit text,
  made_at timestamptz not null default now(),
  primary key (tenant, digest)
);
comment on table plans is 'dry runs of changed configurations over visible dates';

-- The dates that would be calculated again.
create table plan_units (
  tenant text not null collate "C",
  digest bytea not null,
  source text not null collate "C",
  date date not null,
  lines_hash bytea not null,
  rows_hash bytea not null,
  rows int8 not null,
  primary key (tenant, digest, source, date),
  foreign key (tenant, digest) references plans on delete cascade
);
comment on column plan_units.rows_hash is 'what commits.rows_hash is once just these rows are visible';

-- What would move.
create table plan_differences (
  tenant text not null collate "C",
  digest bytea not null,
  owner_id text not null collate "C",
  identity_id text not null collate "C",
  product_type text not null collate "C",
  currency text not null collate "C",
  before numeric not null,
  after numeric not null,
  primary key (tenant, digest, owner_id, identity_id, product_type, currency),
  foreign key (tenant, digest) references plans on delete cascade
);
