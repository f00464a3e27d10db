"""The tables of a journal."""

VERSION = 1
"""Of the tables below."""

SCHEMA = f"""
BEGIN IMMEDIATE;
-- What was asked: canonical JSON, compressed; the SHA-256 of it is the key.
CREATE TABLE IF NOT EXISTS requests (key TEXT PRIMARY KEY, content BLOB NOT NULL, created REAL NOT NULL);
-- Each call, written before it is sent. state: sent, answered, unknown (nobody saw its end), or a class
-- of failure.
-- Until it has ended, prompt, completion and cost are the most that it may take.
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, run INTEGER NOT NULL, started REAL NOT NULL, ended REAL,
    state TEXT NOT NULL, status INTEGER, reason TEXT, retry_after REAL, prompt INTEGER, cached INTEGER,
    completion INTEGER, reasoning INTEGER, cost TEXT, basis TEXT
);
CREATE INDEX IF NOT EXISTS attempts_by_key ON attempts (key);
CREATE INDEX IF NOT EXISTS attempts_under_way ON attempts (run) WHERE state = 'sent';
-- What was answered: a reply as JSON, compressed.
CREATE TABLE IF NOT EXISTS responses (
    key TEXT PRIMARY KEY, body BLOB NOT NULL, answered REAL NOT NULL, attempt INTEGER NOT NULL,
    fingerprint TEXT
);
-- What has no answer, however often it is asked.
CREATE TABLE IF NOT EXISTS failures (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL, status INTEGER,
    attempts INTEGER NOT NULL, failed REAL NOT NULL
);
-- Each process that asked, and what it spent.
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, scope TEXT NOT NULL, started REAL NOT NULL,
    calls INTEGER NOT NULL DEFAULT 0, prompt INTEGER NOT NULL DEFAULT 0, cached INTEGER NOT NULL DEFAULT 0,
    completion INTEGER NOT NULL DEFAULT 0, reasoning INTEGER NOT NULL DEFAULT 0,
    cost TEXT NOT NULL DEFAULT '0',
    unknown_calls INTEGER NOT NULL DEFAULT 0, unknown_tokens INTEGER NOT NULL DEFAULT 0,
    unknown_cost TEXT NOT NULL DEFAULT '0'
);
CREATE TABLE IF NOT EXISTS lock (
    id INTEGER PRIMARY KEY CHECK (id = 1), pid INTEGER NOT NULL, host TEXT NOT NULL, started REAL NOT NULL,
    beat REAL NOT NULL
);
PRAGMA user_version = {VERSION};
COMMIT;
"""
