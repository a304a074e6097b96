-- Workers of different size: an even share is one in proportion to the weight.
alter table personal_telegram_workers add column weight integer not null default 1 check (weight between 1 and 1000);
