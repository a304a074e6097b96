-- Whether Telegram has said whose session it is: a login's has, one from an old system or from elsewhere has not. Nothing is sent before.
alter table personal_telegram_sessions add column shown boolean not null default true;
