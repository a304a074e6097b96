-- How an account is connected, and what Telegram lets it do for now.

-- The account's own SOCKS5 proxy. address: host:port, for people; sealed: the whole URL, which may hold a password.
create table personal_telegram_proxies (
  account_id integer primary key references personal_telegram_accounts (id) on delete cascade,
  address text not null,
  sealed text not null,
  created_at timestamptz not null default now()
);

-- The log-out of a removed account goes the same way; sealed for the same place as above.
alter table personal_telegram_tombstones add column proxy text;

-- Restrictions that pass (AccountTrouble): the account stays active, and its owner reads the text until then.
create table personal_telegram_restrictions (
  account_id integer not null references personal_telegram_accounts (id) on delete cascade,
  kind text not null,
  text text not null,
  until timestamptz not null,
  primary key (account_id, kind)
);
