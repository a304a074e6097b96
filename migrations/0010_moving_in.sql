-- Moving in next to an existing Tuberry.

-- One row. taken_in: the old system's messages up to this id stand in personal_telegram_messages. finished_at: from then on nothing is kept for the
-- old system (`tuberry migrate --finish`).
create table personal_telegram_moving (
  single boolean primary key default true check (single),
  taken_in integer not null default 0,
  finished_at timestamptz
);
insert into personal_telegram_moving default values;

-- sha256 of the session_payload that stood beside this session: another one there is a session that the old system made since.
alter table personal_telegram_sessions add column payload_digest bytea;
