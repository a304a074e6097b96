-- A Tuberry from before personal accounts, as its contract describes it: tables as the old ORM makes them, with data.
create type userrole as enum ('owner', 'manager', 'admin');
create type botstatus as enum ('active', 'inactive', 'error');
create type dialogstate as enum ('active', 'closed');
create type messagedirection as enum ('avito', 'telegram', 'telegram_source_in', 'telegram_source_out');
create type messagestatus as enum ('pending', 'sent', 'delivered', 'failed');
create type autoreplymode as enum ('always', 'first');

create table clients (
  created_at timestamp without time zone not null, updated_at timestamp without time zone, id serial not null,
  name varchar not null, status varchar not null, plan varchar not null, filter_keywords varchar, require_reply_for_avito boolean not null,
  hide_system_messages boolean not null, auto_reply_enabled boolean not null, auto_reply_mode autoreplymode default 'always' not null,
  auto_reply_always boolean not null, auto_reply_start_time time without time zone, auto_reply_end_time time without time zone,
  auto_reply_timezone varchar, auto_reply_text varchar, primary key (id));
create table users (
  created_at timestamp without time zone not null, updated_at timestamp without time zone, id serial not null,
  client_id integer, telegram_user_id varchar, email varchar, full_name varchar, role userrole not null, hashed_password varchar,
  is_active boolean not null, primary key (id), foreign key (client_id) references clients (id));
create table bots (
  created_at timestamp without time zone not null, updated_at timestamp without time zone, id serial not null,
  client_id integer not null, token varchar not null, bot_username varchar, status botstatus not null, group_chat_id varchar,
  topic_mode boolean not null, webhook_secret varchar, primary key (id), foreign key (client_id) references clients (id));
create table projects (
  created_at timestamp without time zone not null, updated_at timestamp without time zone, id serial not null,
  client_id integer not null, name varchar not null, slug varchar, description varchar, status varchar not null, bot_id integer,
  filter_keywords varchar, require_reply_for_sources boolean not null, hide_system_messages boolean not null, auto_reply_enabled boolean not null,
  auto_reply_mode autoreplymode default 'always' not null, auto_reply_always boolean not null, auto_reply_start_time time without time zone,
  auto_reply_end_time time without time zone, auto_reply_timezone varchar, auto_reply_text varchar, topic_intro_template varchar,
  primary key (id), unique (slug), unique (bot_id), foreign key (client_id) references clients (id), foreign key (bot_id) references bots (id));
create table avito_accounts (id serial not null, client_id integer not null, primary key (id));
create table telegram_sources (id serial not null, project_id integer not null, primary key (id));
create table dialogs (
  created_at timestamp without time zone not null, updated_at timestamp without time zone, id serial not null,
  client_id integer not null, project_id integer, source varchar(32) not null, avito_account_id integer, telegram_source_id integer,
  bot_id integer not null, avito_dialog_id varchar not null, telegram_topic_id varchar, telegram_chat_id varchar, state dialogstate not null,
  last_message_at timestamp without time zone, topic_intro_sent boolean not null, auto_reply_last_sent_at timestamp without time zone,
  auto_reply_scheduled_at timestamp without time zone, external_reference varchar, external_display_name varchar, external_username varchar,
  primary key (id), foreign key (client_id) references clients (id), foreign key (project_id) references projects (id),
  foreign key (avito_account_id) references avito_accounts (id), foreign key (telegram_source_id) references telegram_sources (id),
  foreign key (bot_id) references bots (id));
create table messages (
  created_at timestamp without time zone not null, updated_at timestamp without time zone, id serial not null,
  dialog_id integer not null, direction messagedirection not null, source_message_id varchar, telegram_message_id varchar, body varchar not null,
  attachments varchar, status messagestatus not null, sent_at timestamp without time zone, delivered_at timestamp without time zone,
  retries integer not null, is_auto_reply boolean not null, is_client_message boolean not null,
  primary key (id), foreign key (dialog_id) references dialogs (id));
create table telegram_chats (
  created_at timestamp without time zone not null, updated_at timestamp without time zone, id serial not null,
  bot_id integer not null, chat_id varchar not null, chat_type varchar, title varchar, username varchar, is_forum boolean,
  is_active boolean not null, last_status varchar, joined_at timestamp without time zone, left_at timestamp without time zone,
  primary key (id), constraint uq_bot_chat unique (bot_id, chat_id), foreign key (bot_id) references bots (id));

insert into clients (created_at, name, status, plan, require_reply_for_avito, hide_system_messages, auto_reply_enabled, auto_reply_always)
values (now() at time zone 'utc', 'Ромашка', 'active', 'default', false, false, false, false);
insert into users (created_at, client_id, email, role, hashed_password, is_active)
values (now() at time zone 'utc', 1, 'owner@example.org', 'owner', '!', true), (now() at time zone 'utc', 1, null, 'manager', null, true),
       (now() at time zone 'utc', null, 'admin@example.org', 'admin', null, false);
insert into bots (created_at, client_id, token, status, topic_mode) values (now() at time zone 'utc', 1, '1:old', 'active', true);
insert into projects (created_at, client_id, name, status, bot_id, require_reply_for_sources, hide_system_messages, auto_reply_enabled, auto_reply_always)
values (now() at time zone 'utc', 1, 'Проект', 'active', 1, false, false, false, false);
insert into avito_accounts (client_id) values (1);
insert into telegram_sources (project_id) values (1);
insert into telegram_chats (created_at, bot_id, chat_id, is_active) values (now() at time zone 'utc', 1, '-1001', true);
insert into dialogs (created_at, client_id, project_id, source, avito_account_id, bot_id, avito_dialog_id, state, topic_intro_sent)
select now() at time zone 'utc', 1, 1, 'avito', 1, 1, 'u2i-' || n, 'active', false from generate_series(1, 50) n;
insert into messages (created_at, dialog_id, direction, source_message_id, body, status, retries, is_auto_reply, is_client_message)
select now() at time zone 'utc', 1 + n % 50, 'avito', 'a' || n, 'Сообщение ' || n, 'delivered', 0, false, true from generate_series(1, 5000) n;
