-- What the old system's release with personal accounts added.
create type personaltelegramaccountstatus as enum ('pending', 'active', 'error');
alter type messagedirection add value 'personal_telegram_in';
alter type messagedirection add value 'personal_telegram_out';
create table personal_telegram_accounts (
  created_at timestamp without time zone not null, updated_at timestamp without time zone, id serial not null,
  client_id integer not null, project_id integer not null, display_name varchar, username varchar, phone varchar, telegram_user_id varchar,
  status personaltelegramaccountstatus not null, session_payload varchar, accepts_private boolean not null, accepts_groups boolean not null,
  accepts_channels boolean not null, last_connected_at timestamp without time zone, last_error varchar,
  primary key (id), foreign key (client_id) references clients (id), foreign key (project_id) references projects (id));
alter table dialogs add column personal_account_id integer references personal_telegram_accounts (id);
