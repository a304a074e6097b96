-- The tables that Tuberry shares, created where they are missing. On an existing deployment this adds only what a release from
-- before personal accounts lacks. Columns carry no defaults, as in the original: every insert names what it needs.

do $$
declare
  kind record;
begin
  for kind in select * from (values
    ('userrole', array['owner', 'manager', 'admin']),
    ('botstatus', array['active', 'inactive', 'error']),
    ('personaltelegramaccountstatus', array['pending', 'active', 'error']),
    ('dialogstate', array['active', 'closed']),
    ('messagedirection', array['avito', 'telegram', 'telegram_source_in', 'telegram_source_out', 'personal_telegram_in', 'personal_telegram_out']),
    ('messagestatus', array['pending', 'sent', 'delivered', 'failed']),
    ('autoreplymode', array['always', 'first'])) as k(name, labels)
  loop
    if to_regtype(kind.name) is null then
      execute format('create type %I as enum (%s)', kind.name, (select string_agg(quote_literal(l), ', ' order by o) from unnest(kind.labels) with ordinality u(l, o)));
    end if;
  end loop;
end $$;

alter type messagedirection add value if not exists 'personal_telegram_in';
alter type messagedirection add value if not exists 'personal_telegram_out';

create table if not exists clients (
  id serial primary key,
  created_at timestamp not null,
  updated_at timestamp,
  name varchar not null,
  status varchar not null default 'active',
  plan varchar not null default 'default',
  filter_keywords varchar,
  require_reply_for_avito boolean not null,
  hide_system_messages boolean not null,
  auto_reply_enabled boolean not null,
  auto_reply_mode autoreplymode not null default 'always',
  auto_reply_always boolean not null,
  auto_reply_start_time time,
  auto_reply_end_time time,
  auto_reply_timezone varchar,
  auto_reply_text varchar
);

create table if not exists users (
  id serial primary key,
  created_at timestamp not null,
  updated_at timestamp,
  client_id integer references clients (id),
  telegram_user_id varchar,
  email varchar,
  full_name varchar,
  role userrole not null,
  hashed_password varchar,
  is_active boolean not null
);

create table if not exists bots (
  id serial primary key,
  created_at timestamp not null,
  updated_at timestamp,
  client_id integer not null references clients (id),
  token varchar not null,
  bot_username varchar,
  status botstatus not null,
  group_chat_id varchar,
  topic_mode boolean not null,
  webhook_secret varchar
);

create table if not exists projects (
  id serial primary key,
  created_at timestamp not null,
  updated_at timestamp,
  client_id integer not null references clients (id),
  name varchar not null,
  slug varchar unique,
  description varchar,
  status varchar not null default 'active',
  bot_id integer unique references bots (id),
  filter_keywords varchar,
  require_reply_for_sources boolean not null,
  hide_system_messages boolean not null,
  auto_reply_enabled boolean not null,
  auto_reply_mode autoreplymode not null default 'always',
  auto_reply_always boolean not null,
  auto_reply_start_time time,
  auto_reply_end_time time,
  auto_reply_timezone varchar,
  auto_reply_text varchar,
  topic_intro_template varchar
);

create table if not exists personal_telegram_accounts (
  id serial primary key,
  created_at timestamp not null,
  updated_at timestamp,
  client_id integer not null references clients (id),
  project_id integer not null references projects (id),
  display_name varchar,
  username varchar,
  phone varchar,
  telegram_user_id varchar,
  status personaltelegramaccountstatus not null,
  session_payload varchar,
  accepts_private boolean not null,
  accepts_groups boolean not null,
  accepts_channels boolean not null,
  last_connected_at timestamp,
  last_error varchar
);

create table if not exists dialogs (
  id serial primary key,
  created_at timestamp not null,
  updated_at timestamp,
  client_id integer not null references clients (id),
  project_id integer references projects (id),
  source varchar(32) not null,
  avito_account_id integer,
  telegram_source_id integer,
  bot_id integer not null references bots (id),
  avito_dialog_id varchar not null,
  telegram_topic_id varchar,
  telegram_chat_id varchar,
  state dialogstate not null,
  last_message_at timestamp,
  topic_intro_sent boolean not null,
  auto_reply_last_sent_at timestamp,
  auto_reply_scheduled_at timestamp,
  external_reference varchar,
  external_display_name varchar,
  external_username varchar
);
alter table dialogs add column if not exists personal_account_id integer references personal_telegram_accounts (id);

create table if not exists messages (
  id serial primary key,
  created_at timestamp not null,
  updated_at timestamp,
  dialog_id integer not null references dialogs (id),
  direction messagedirection not null,
  source_message_id varchar,
  telegram_message_id varchar,
  body varchar not null,
  attachments varchar,
  status messagestatus not null,
  sent_at timestamp,
  delivered_at timestamp,
  retries integer not null,
  is_auto_reply boolean not null,
  is_client_message boolean not null
);

create table if not exists telegram_chats (
  id serial primary key,
  created_at timestamp not null,
  updated_at timestamp,
  bot_id integer not null references bots (id),
  chat_id varchar not null,
  chat_type varchar,
  title varchar,
  username varchar,
  is_forum boolean,
  is_active boolean not null,
  last_status varchar,
  joined_at timestamp,
  left_at timestamp,
  unique (bot_id, chat_id)
);

-- Plain indexes for our own look-ups; no constraint is added to a shared table.
create index if not exists personal_telegram_dialogs_by_topic on dialogs (bot_id, telegram_topic_id) where source = 'personal_telegram';
create index if not exists personal_telegram_dialogs_by_account on dialogs (personal_account_id, avito_dialog_id) where personal_account_id is not null;
create index if not exists personal_telegram_messages_by_dialog on messages (dialog_id, id);
create index if not exists personal_telegram_dialogs_by_client on dialogs (client_id, id);
create index if not exists personal_telegram_messages_pending on messages (id) where status = 'pending';
