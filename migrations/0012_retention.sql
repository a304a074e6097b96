-- What is deleted when it has served, and what is counted for Prometheus.

-- Done and dead jobs are kept for different times. Each has an index of its own: what is kept longer is not passed over in every purge, and a job
-- that ends still writes one entry.
create index queue_done on apalis.jobs (done_at) where status = 'Done';
create index queue_died on apalis.jobs (done_at) where status in ('Killed', 'Failed');
drop index apalis.queue_finished;

create index spent_keys_by_age on queue.spent_keys (spent_at);
create index personal_telegram_logins_ended on personal_telegram_logins (updated_at) where stage in ('completed', 'failed', 'expired', 'cancelled');

-- Deletes jobs that have been done, or dead, for longer than this, with their history, the oldest first. Answers how many.
drop function queue.purge(float8, integer);
create function queue.purge(p_dead boolean, p_older_than float8, p_limit integer) returns bigint
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
    v_before timestamptz := clock_timestamp() - make_interval(secs => p_older_than);
    v_ids text[];
    v_gone bigint;
begin
    if p_dead then
        v_ids := array(select j.id from apalis.jobs j where j.status in ('Killed', 'Failed') and j.done_at < v_before
                        order by j.done_at limit p_limit for update skip locked);
    else
        v_ids := array(select j.id from apalis.jobs j where j.status = 'Done' and j.done_at < v_before
                        order by j.done_at limit p_limit for update skip locked);
    end if;
    with gone as (
        delete from apalis.jobs j where j.id = any (v_ids) returning j.id, j.runs > 1 or j.status <> 'Done' as has_history),
    history as (
        delete from queue.attempts a using gone g where g.has_history and a.job_id = g.id)
    select count(*) into v_gone from gone;
    return v_gone;
end $$;

-- How many jobs of every kind are where, counted by one process now and then: every process shows it, and none counts for itself.
create table queue.census (
    single boolean primary key default true check (single),
    counted_at timestamptz not null,
    took float8 not null,           -- seconds
    kinds jsonb not null            -- rows of queue.counts
);
