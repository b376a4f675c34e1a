//! The tables, as SQLite takes them.

/// Of a new file. Columns that came with schema 2 are the last of their table, as in one that grew.
pub const TABLES: &str = "
CREATE TABLE cursor (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  install_id TEXT NOT NULL,
  install INTEGER NOT NULL,
  tick INTEGER NOT NULL,
  row INTEGER NOT NULL,
  series INTEGER NOT NULL,
  tick_ms INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  earlier_tick_ms INTEGER NOT NULL,
  earlier_received_ms INTEGER NOT NULL,
  pruned_day INTEGER NOT NULL
) STRICT;
INSERT INTO cursor VALUES (1, '', 0, 0, 0, 0, 0, 0, 0, 0, 0);

CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  install INTEGER NOT NULL,
  store_id INTEGER NOT NULL,
  metric TEXT NOT NULL,
  UNIQUE (install, store_id)
) STRICT;
CREATE TABLE series_label (
  name TEXT NOT NULL,
  series_id INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name, series_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE text (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE tag_set (id INTEGER PRIMARY KEY, canonical TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE tag (
  name TEXT NOT NULL,
  tag_set_id INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name, tag_set_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
  id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL UNIQUE,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  terminal_id INTEGER NOT NULL DEFAULT 0,
  entrypoint_id INTEGER NOT NULL DEFAULT 0,
  version_id INTEGER NOT NULL DEFAULT 0,
  plan_id INTEGER NOT NULL DEFAULT 0,
  signed_in INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE request (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  cost_usd REAL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL, cache_creation_tokens INTEGER NOT NULL,
  duration_ms INTEGER, ttft_ms INTEGER,
  effort_id INTEGER NOT NULL, speed_id INTEGER NOT NULL,
  request_id TEXT,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE api_error (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  status_code INTEGER, attempt INTEGER, duration_ms INTEGER,
  class_id INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE prompt (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  length INTEGER,
  command_id INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE tool_result (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  success INTEGER, duration_ms INTEGER,
  accepted INTEGER,
  source_id INTEGER NOT NULL DEFAULT 0,
  error_type_id INTEGER NOT NULL DEFAULT 0,
  tool_use_id TEXT,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
";

/// What schema 2 added to schema 1; of a new file, too.
pub const ADDED_IN_2: &str = "
CREATE TABLE context (
  id INTEGER PRIMARY KEY,
  tag_set_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL,
  repository_id INTEGER NOT NULL,
  branch_id INTEGER NOT NULL,
  UNIQUE (tag_set_id, user_id, repository_id, branch_id)
) STRICT;
CREATE TABLE action (
  id INTEGER PRIMARY KEY,
  model_id INTEGER NOT NULL,
  query_source_id INTEGER NOT NULL,
  tool_id INTEGER NOT NULL,
  UNIQUE (model_id, query_source_id, tool_id)
) STRICT;
CREATE TABLE counter_pack (place INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE activity_pack (place INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE tool_decision (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  accepted INTEGER,
  source_id INTEGER NOT NULL,
  tool_use_id TEXT,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE prompt_usage (
  session_id INTEGER NOT NULL,
  prompt_id ANY NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  facet_id INTEGER NOT NULL,
  dearest_usd REAL NOT NULL,
  requests INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  tool_calls INTEGER NOT NULL,
  unpriced_requests INTEGER NOT NULL,
  cost_usd REAL NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_creation_tokens INTEGER NOT NULL,
  PRIMARY KEY (session_id, prompt_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE duration_pack (place INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
";
