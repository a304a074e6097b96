-- Given back, but not at rest: Telegram may still hold a connection of the former owner until then (its close was not heard).
alter table personal_telegram_leases add column rests_until timestamptz;

-- Came to its owner because another worker left or died, and goes to the one that takes that worker's place.
alter table personal_telegram_leases add column guest boolean not null default false;

-- Workers of different size: an even share is one in proportion to the weight.
alter table personal_telegram_workers add column weight integer not null default 1 check (weight between 1 and 1000);
