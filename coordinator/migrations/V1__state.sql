-- The state of every unit and source. The coordinator writes all of it except pipeline_state.visible_*,
-- which only the ledger writes. Every flag says which generation it refers to.

-- Fencing tokens. The incarnation in the upper bits is raised when a backup is restored.
create sequence generation_seq as bigint start 1;

-- Who leads. An acknowledgement or lease is never a fence: every write checks the epoch.
create table leader (
  role text primary key,
  epoch bigint not null,
  holder text not null,
  lease_until timestamptz not null
);
insert into leader (role, epoch, holder, lease_until) values ('coordinator', 0, '', 'epoch');

-- Every configuration that was ever in force: canonical, secret-free.
create table config_versions (
  tenant text not null collate "C",
  hash bytea not null,
  message bytea not null,
  git_commit text,
  created_at timestamptz not null default now(),
  primary key (tenant, hash)
);

create table tenants (
  tenant text primary key collate "C",
  config_hash bytea not null,
  updated_at timestamptz not null default now()
);

create table emitters (
  tenant text not null collate "C",
  emitter text not null collate "C",
  kind text not null,
  -- Hash of its configuration: another one means that everything is emitted again.
  hash bytea not null,
  primary key (tenant, emitter)
);

-- One row per piece of running: a session of `up`, a `run --once`, later a replay.
create table pipeline_runs (
  run_id text primary key collate "C",
  trigger text not null,
  started_at timestamptz not null default now(),
  ended_at timestamptz,
  status text not null default 'running',
  units bigint not null default 0,
  failed bigint not null default 0
);

create table source_state (
  tenant text not null collate "C",
  source text not null collate "C",
  kind text not null,
  in_force boolean not null default true,
  -- The gather under way.
  gather_generation bigint,
  gather_subject text collate "C",
  gather_at timestamptz,
  attempts int not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_error text,
  -- The run whose gather ended, well or not.
  settled_run text collate "C",
  failed_run text collate "C",
  -- The last good gather.
  done_generation bigint,
  done_at timestamptz,
  gather_hash bytea,
  covered_from date,
  covered_to date,
  records bigint,
  warnings jsonb not null default '[]',
  cursor bytea,
  primary key (tenant, source)
);

-- What a gather under way has reported; counts only with its end.
create table staged_dates (
  tenant text not null collate "C",
  source text not null collate "C",
  generation bigint not null,
  attempt bigint not null,
  date date not null,
  hash bytea not null,
  manifest bytea not null,
  received bytea not null,
  primary key (tenant, source, generation, attempt, date)
);

create table staged_quarantine (
  tenant text not null collate "C",
  source text not null collate "C",
  generation bigint not null,
  attempt bigint not null,
  file text not null,
  line bigint not null,
  column_name text,
  reason text not null,
  text text not null,
  date date,
  currency text,
  amount numeric,
  primary key (tenant, source, generation, attempt, file, line)
);

-- Records that could not be understood, of the gathers in force.
create table quarantined (
  tenant text not null collate "C",
  source text not null collate "C",
  generation bigint not null,
  file text not null,
  line bigint not null,
  column_name text,
  reason text not null,
  text text not null,
  date date,
  currency text,
  amount numeric,
  primary key (tenant, source, file, line)
);

create table pipeline_state (
  tenant text not null collate "C",
  source text not null collate "C",
  date date not null,
  -- Lines in force.
  lines_generation bigint not null,
  lines_hash bytea not null,
  lines_items bigint not null,
  lines_manifest bytea not null,
  received bytea not null,
  withdrawn boolean not null default false,
  -- Resolutions in force, and the lines that they were made for.
  resolution_generation bigint,
  resolution_hash bytea,
  resolution_manifest bytea,
  resolution_lines_hash bytea,
  -- What the configuration in force asks for.
  config_hash bytea not null,
  rules_hash bytea not null,
  -- The work under way; see coordinator/src/domain/unit.rs for the states and edges.
  state text not null,
  wanted_generation bigint not null default 0,
  wanted_lines_hash bytea,
  wanted_rules_hash bytea,
  wanted_config_hash bytea,
  rows_manifest bytea,
  task text collate "C",
  dispatched_at timestamptz,
  attempts int not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_error text,
  error_hash bytea,
  equal_errors int not null default 0,
  -- Written by the ledger alone.
  visible_generation bigint not null default 0,
  visible_lines_generation bigint,
  visible_lines_hash bytea,
  visible_rows bigint,
  visible_rules bytea,
  visible_config bytea,
  visible_at timestamptz,
  primary key (tenant, source, date)
);
create index pipeline_state_unsettled on pipeline_state (tenant, source) where state <> 'visible';
create index pipeline_state_task on pipeline_state (task) where task is not null;

-- Work that is out. Written before it is published, deleted when nothing waits for it any more.
create table tasks (
  subject text primary key collate "C",
  tenant text not null collate "C",
  source text not null collate "C",
  step text not null,
  generation bigint not null,
  message bytea not null,
  created_at timestamptz not null default now(),
  sent_at timestamptz,
  sends int not null default 0
);
create index tasks_tenant on tasks (tenant);

create table emission_records (
  tenant text not null collate "C",
  source text not null collate "C",
  date date not null,
  emitter text not null collate "C",
  -- What lies outside now; 0 = nothing yet.
  generation bigint not null default 0,
  replaces bigint,
  emitter_hash bytea,
  target text,
  rows bigint,
  bytes bigint,
  hash bytea,
  emitted_at timestamptz,
  -- The work under way.
  wanted_generation bigint not null default 0,
  task text collate "C",
  dispatched_at timestamptz,
  attempts int not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_error text,
  primary key (tenant, source, date, emitter)
);
create index emission_records_task on emission_records (task) where task is not null;
