-- What the portal's pages look for.

-- A tenant's dialogs by activity. It makes the update of last_message_at touch the table's other indexes, too: a few microseconds a message, where
-- every page of the list would sort all of a tenant's dialogs.
create index if not exists personal_telegram_dialogs_by_activity on dialogs (client_id, (coalesce(last_message_at, created_at)), id)
  where source = 'personal_telegram';

-- What people did to one job, and what a tenant's people did.
create index queue_audit_of_job on queue.audit (job_id, id) where job_id is not null;
create index queue_audit_of_client on queue.audit (client_id, id) where client_id is not null;
