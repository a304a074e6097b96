-- The count of the jobs rests after a failure, too, also the first one; and when sync-accounts last ran to its end.
alter table queue.census add column rests_until timestamptz not null default now();
alter table queue.census alter column counted_at drop not null;
alter table personal_telegram_sync add column finished_at timestamptz;
