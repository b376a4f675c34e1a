-- The tables of schema 1, as they were written by ccotel before schema 2.
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
CREATE TABLE counter (
  grain INTEGER NOT NULL,
  start_minute INTEGER NOT NULL,
  series_id INTEGER NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (grain, start_minute, series_id)
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
  last_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE facet (
  id INTEGER PRIMARY KEY,
  tag_set_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL,
  repository_id INTEGER NOT NULL,
  branch_id INTEGER NOT NULL,
  model_id INTEGER NOT NULL,
  query_source_id INTEGER NOT NULL,
  tool_id INTEGER NOT NULL,
  UNIQUE (tag_set_id, user_id, repository_id, branch_id, model_id, query_source_id, tool_id)
) STRICT;
CREATE TABLE activity (
  grain INTEGER NOT NULL,
  start_minute INTEGER NOT NULL,
  session_id INTEGER NOT NULL,
  facet_id INTEGER NOT NULL,
  prompts INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  tool_calls INTEGER NOT NULL,
  tool_failures INTEGER NOT NULL,
  cost_usd REAL NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_creation_tokens INTEGER NOT NULL,
  PRIMARY KEY (grain, start_minute, session_id, facet_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  cost_usd REAL NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL, cache_creation_tokens INTEGER NOT NULL,
  duration_ms INTEGER,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE api_error (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  status_code INTEGER, attempt INTEGER, duration_ms INTEGER,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE prompt (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  length INTEGER,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE tool_result (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  success INTEGER, duration_ms INTEGER,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
