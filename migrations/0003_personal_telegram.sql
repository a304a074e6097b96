-- What is ours alone: states that the old enums do not know, uniqueness, leases, sealed sessions.

-- Workers that share the accounts. A row of a dead worker is removed by sync-accounts.
create table personal_telegram_workers (
  name text primary key,
  host text not null,
  pid integer not null,
  capacity integer not null,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
);

-- Who may use which authorization key. class = class of the advisory lock (KeyClass). owner null = given back.
-- orphaned: the lock was found free while this lease was younger than 15 s and PostgreSQL had not restarted: the owner is dead, or
-- lost PostgreSQL and closes by itself. Kept here, so that it is not lost with the worker that found it.
create table personal_telegram_leases (
  class integer not null,
  object integer not null,
  owner text,
  epoch bigint not null default 1,
  renewed_at timestamptz not null default now(),
  orphaned boolean not null default false,
  primary key (class, object)
);
create index personal_telegram_leases_by_owner on personal_telegram_leases (owner) where owner is not null;

-- The account's session, sealed in our form; personal_telegram_accounts.session_payload keeps the old system's.
create table personal_telegram_sessions (
  account_id integer primary key references personal_telegram_accounts (id) on delete cascade,
  sealed text not null,
  created_at timestamptz not null default now()
);

-- updates.state of the common box, and of each channel that is mirrored.
create table personal_telegram_update_states (
  account_id integer primary key references personal_telegram_accounts (id) on delete cascade,
  pts integer not null,
  qts integer not null,
  date integer not null,
  seq integer not null,
  updated_at timestamptz not null default now()
);
create table personal_telegram_channel_states (
  account_id integer not null references personal_telegram_accounts (id) on delete cascade,
  channel_id bigint not null,
  pts integer not null,
  primary key (account_id, channel_id)
);

-- Peers by account: access hashes are valid for one account only. chat_id in marked form.
create table personal_telegram_peers (
  account_id integer not null references personal_telegram_accounts (id) on delete cascade,
  chat_id bigint not null,
  access_hash bigint,
  name text not null,
  username text,
  broadcast boolean not null,
  bot boolean not null,
  primary key (account_id, chat_id)
);

create table personal_telegram_logins (
  number integer generated always as identity primary key,
  id text not null unique,
  client_id integer not null,
  project_id integer not null references projects (id) on delete cascade,
  stage text not null,
  sealed_key text,
  sealed_url text,
  token_expires_at timestamptz,
  expires_at timestamptz not null,
  password_parameters bytea,
  password_hint text,
  proof jsonb,
  error text,
  account_id integer references personal_telegram_accounts (id) on delete set null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index personal_telegram_logins_open on personal_telegram_logins (expires_at)
  where stage not in ('completed', 'failed', 'expired', 'cancelled');

-- The session of a removed account, until Telegram has been told.
create table personal_telegram_tombstones (
  id integer generated always as identity primary key,
  account_id integer not null,
  sealed text not null,
  created_at timestamptz not null default now()
);

-- What we know of a dialog beyond the shared row. (account, chat) is unique here, not in the shared table.
create table personal_telegram_dialogs (
  dialog_id integer primary key references dialogs (id) on delete cascade,
  account_id integer not null,
  chat_id bigint not null,
  -- the customer waits for an answer
  waiting boolean not null default false,
  -- title that the topic is known to have
  topic_title text,
  -- when the creation of its topic last began: until its number is stored, Telegram knows the topic and we do not
  topic_begun_at timestamptz,
  unique (account_id, chat_id)
);

create index personal_telegram_dialogs_begun on personal_telegram_dialogs (topic_begun_at) where topic_begun_at is not null;

-- One row per mirrored message or reply. chat_id, telegram_id: as MTProto numbers it. bot_message_id: the operator's message.
create table personal_telegram_messages (
  message_id integer primary key references messages (id) on delete cascade,
  dialog_id integer not null,
  account_id integer not null,
  chat_id bigint not null,
  incoming boolean not null,
  telegram_id integer,
  bot_message_id bigint,
  sender_name text,
  -- text or caption as it was written, with its entities (messages.body is what the portal shows)
  text text not null default '',
  entities jsonb not null default '[]',
  attachment jsonb,
  reply_to_message_id integer,
  error text,
  -- a reply that has been announced in its topic as waiting for an owner
  announced boolean not null default false,
  created_at timestamptz not null default now()
);
create unique index personal_telegram_messages_incoming on personal_telegram_messages (account_id, chat_id, telegram_id) where incoming;
create index personal_telegram_messages_newest on personal_telegram_messages (account_id, telegram_id) where incoming and chat_id > -1000000000000;
create unique index personal_telegram_messages_replies on personal_telegram_messages (dialog_id, bot_message_id) where not incoming and bot_message_id is not null;
create index personal_telegram_messages_by_telegram_id on personal_telegram_messages (account_id, chat_id, telegram_id);
create index personal_telegram_messages_by_bot_message on personal_telegram_messages (dialog_id, bot_message_id);

-- A text too long for one message goes in parts. state: waiting, sending, sent, failed. random_id: of replies, stored before the first attempt.
create table personal_telegram_parts (
  message_id integer not null references messages (id) on delete cascade,
  part integer not null,
  state text not null default 'waiting',
  random_id bigint,
  -- id of the sent message: the bot's in the topic, or MTProto's at the customer
  sent_id bigint,
  -- how often the call began: more than once means that an answer was lost or a process died while it said 'sending'
  attempts integer not null default 0,
  -- how often Telegram refused what it said
  refusals integer not null default 0,
  primary key (message_id, part)
);

create index personal_telegram_parts_by_sent_id on personal_telegram_parts (sent_id) where sent_id is not null;

-- Limits that Telegram imposed: nothing of this scope is called before not_before.
create table personal_telegram_send_limits (
  scope text primary key,
  not_before timestamptz not null
);

-- Long polling: the next update of each bot.
create table personal_telegram_bot_offsets (
  bot_id integer primary key references bots (id) on delete cascade,
  next_update_id bigint not null
);

-- The last tick of sync-accounts: one per interval in the whole cluster.
create table personal_telegram_sync (
  single boolean primary key default true check (single),
  tick bigint not null
);
