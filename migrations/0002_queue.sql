-- The queue's semantics on apalis.jobs: order, affinity, unique keys, durable outcomes, leases.
-- Runs after apalis' own migrations. Columns stand last: apalis reads `select *` by position. No stock apalis worker may run on this table.
--
-- A row is live while Pending or Running. `gate` says where a live row stands:
--   0 ready or running · 1 behind the head of its ordering key · 2 scheduled: run_at lies ahead
-- At most one live row of a key has another gate than 1 (its head; a unique index refuses a second one).
--
-- Locks. Whoever changes which rows of a key wait (enqueue, cancel, retry by hand) holds the key's advisory lock (one of 4,096, one-integer
-- form) until its transaction ends. The engine only tries that lock: where it fails, the acknowledgement is put off, and the engine never waits.

create schema queue;

alter table apalis.jobs
    add column seq bigint generated always as identity,
    add column ordering_key text,
    add column lane text not null default '',               -- affinity: an account's number, '' = any process
    add column gate smallint not null default 0,
    add column unique_scope smallint not null default 0,    -- of idempotency_key: 0 none (any more), 1 while waiting, 2 while live, 3 for ever
    add column enqueued_at timestamptz not null default clock_timestamp(),
    add column deadline timestamptz,                        -- dead instead of a start later than this
    add column lost_leases integer not null default 0,      -- processes that died under it
    add column max_lost_leases integer not null default 20;

-- Every change of status writes a new entry into every index that holds the row: keep what is needed, and keep it partial.
alter table apalis.jobs drop constraint if exists fk_worker_lock_by;
drop index if exists apalis.unique_job_id;
drop index if exists apalis.lidx;
drop index if exists apalis.idx_apalis_jobs_lock_by;
drop index if exists apalis.idx_apalis_jobs_fetch_partial;
drop index if exists apalis.idx_jobs_idempotency_key;
drop trigger if exists notify_workers on apalis.jobs;

create index queue_ready on apalis.jobs (job_type, lane, priority desc, run_at, seq) where status = 'Pending' and gate = 0;
create index queue_scheduled on apalis.jobs (run_at) where status = 'Pending' and gate = 2;
create index queue_chain on apalis.jobs (ordering_key, seq) where ordering_key is not null and status in ('Pending', 'Running');
create unique index queue_head on apalis.jobs (ordering_key) where ordering_key is not null and gate <> 1 and status in ('Pending', 'Running');
create unique index queue_unique on apalis.jobs (job_type, idempotency_key) where unique_scope in (1, 2) and status in ('Pending', 'Running');
create index queue_affine on apalis.jobs (lane, job_type) where status = 'Pending' and lane <> '';
create index queue_running on apalis.jobs (lock_by) where status = 'Running';
create index queue_finished on apalis.jobs (done_at) where status in ('Done', 'Killed', 'Failed');
create index queue_dead on apalis.jobs (job_type, done_at) where status in ('Killed', 'Failed');

alter table apalis.jobs set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Unique keys of scope 3. They outlive their jobs.
create table queue.spent_keys (
    kind text not null,
    key text not null,
    spent_at timestamptz not null default now(),
    primary key (kind, key)
);

create function queue.key_lock(p_key text) returns bigint language sql immutable strict parallel safe
return 8462105000000000 + (hashtextextended(p_key, 0) & 4095);

-- What is sent on the wake-up channel: "<kind>\t<lane>" has a ready job; "@<microseconds since 1970>" is a time to look again.
create function queue.wake_up(p_kind text, p_lane text, p_gate smallint, p_run_at timestamptz) returns text language sql immutable
return case p_gate when 0 then p_kind || E'\t' || p_lane when 2 then '@' || (extract(epoch from p_run_at) * 1000000)::bigint end;

-- ------------------------------------------------------------------------------------------------------------------ enqueue
create function queue.enqueue(p_kind text, p_ids text[], p_payloads bytea[], p_keys text[], p_lanes text[], p_scopes smallint[],
    p_uniques text[], p_delay float8, p_at timestamptz, p_max_attempts integer, p_max_lost integer, p_deadline float8,
    out inserted bigint, out wake_ups text[])
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_at timestamptz := greatest(coalesce(p_at, v_now + make_interval(secs => p_delay)), v_now);
    v_open smallint := case when v_at > v_now then 2 else 0 end;
    v_deadline timestamptz := v_at + make_interval(secs => p_deadline);
    r record;
    v_twin record;
    v_gate smallint;
begin
    perform pg_advisory_xact_lock(l.number)
       from (select distinct queue.key_lock(k) as number from unnest(p_keys) k where k is not null order by 1) l;

    if 0 = all (p_scopes) then
        with fresh as (
            insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata, ordering_key, lane, gate,
                                     enqueued_at, deadline, max_lost_leases)
            select t.id, p_kind, t.job, 'Pending', 0, p_max_attempts, v_at, 0, ''::hstore, t.key, t.lane,
                   case when t.key is not null and (h.live or row_number() over (partition by t.key order by t.place) > 1) then 1 else v_open end,
                   v_now, v_deadline, p_max_lost
              from unnest(p_ids, p_payloads, p_keys, p_lanes) with ordinality as t(id, job, key, lane, place)
              left join lateral (select true as live from apalis.jobs j
                                  where j.ordering_key = t.key and j.status in ('Pending', 'Running') limit 1) h on true
             order by t.place
            returning lane, gate)
        select count(*), coalesce(array_agg(distinct queue.wake_up(p_kind, f.lane, f.gate, v_at)) filter (where f.gate <> 1), '{}')
          into inserted, wake_ups from fresh f;
        return;
    end if;

    inserted := 0;
    wake_ups := '{}';
    for r in select t.* from unnest(p_ids, p_payloads, p_keys, p_lanes, p_scopes, p_uniques) with ordinality
                    as t(id, job, key, lane, scope, uq, place) order by t.place
    loop
        if r.scope = 3 then
            insert into queue.spent_keys (kind, key) values (p_kind, r.uq) on conflict do nothing;
            continue when not found;
        end if;
        loop
            insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata, idempotency_key, unique_scope,
                                     ordering_key, lane, gate, enqueued_at, deadline, max_lost_leases)
            values (r.id, p_kind, r.job, 'Pending', 0, p_max_attempts, v_at, 0, ''::hstore, r.uq, r.scope, r.key, r.lane,
                    case when exists (select 1 from apalis.jobs j where j.ordering_key = r.key and j.status in ('Pending', 'Running'))
                         then 1 else v_open end,
                    v_now, v_deadline, p_max_lost)
            on conflict (job_type, idempotency_key) where unique_scope in (1, 2) and status in ('Pending', 'Running') do nothing
            returning gate into v_gate;
            if found then
                inserted := inserted + 1;
                wake_ups := wake_ups || queue.wake_up(p_kind, r.lane, v_gate, v_at);
                exit;
            end if;
            exit when r.scope <> 1;
            -- The one that waits must not start before this transaction ends: it would not see what the transaction wrote.
            select j.lane, j.gate, j.ordering_key into v_twin from apalis.jobs j
             where j.job_type = p_kind and j.idempotency_key = r.uq and j.unique_scope in (1, 2) and j.status = 'Pending' for share;
            if found then
                if v_twin.ordering_key is distinct from r.key and v_twin.ordering_key is not null then
                    perform pg_advisory_xact_lock(queue.key_lock(v_twin.ordering_key));
                end if;
                if v_twin.gate <> 1 then
                    wake_ups := wake_ups || (p_kind || E'\t' || v_twin.lane);
                end if;
                exit;
            end if;
            -- It has started meanwhile: insert again.
        end loop;
    end loop;
    select coalesce(array_agg(distinct w), '{}') into wake_ups from unnest(wake_ups) w where w is not null;
end $$;

-- ------------------------------------------------------------------------------------------------------------------ ends of runs
-- The earliest live row of each key becomes its head.
create function queue.promote(p_keys text[]) returns table (kind text, lane text, gate smallint, run_at timestamptz) language plpgsql as $$
#variable_conflict use_column
begin
    return query
    update apalis.jobs j set gate = case when j.run_at > clock_timestamp() then 2 else 0 end
     where j.id = any (array(
            select n.id from (select distinct k from unnest(p_keys) k) d
             cross join lateral (select i.id from apalis.jobs i
                                  where i.ordering_key = d.k and i.status in ('Pending', 'Running') order by i.seq limit 1) n))
       and (j.gate = 1) is true
    returning j.job_type, j.lane, j.gate, j.run_at;
end $$;

create function queue.is_final(p_outcome smallint, p_attempts integer, p_max integer, p_lost integer, p_max_lost integer,
    p_next timestamptz, p_deadline timestamptz) returns boolean language sql immutable
return coalesce(p_outcome in (0, 3) or (p_outcome = 1 and p_attempts + 1 >= p_max) or (p_outcome = 5 and p_lost + 1 >= p_max_lost)
    or (p_outcome in (1, 2) and p_next > p_deadline), false);

-- Applies outcomes: 0 done, 1 retry, 2 snooze, 3 cancel, 4 given back unstarted, 5 lease lost. Fenced by status, lock_by and lock_at.
-- Answers 'a' applied (id), 'd' put off (id), 'w' a ready row of kind and lane. An id that is not answered was fenced.
create function queue.finish(p_ids text[], p_by text[], p_tokens timestamptz[], p_outcomes smallint[], p_delays float8[], p_results text[],
    p_keys text[]) returns table (tag text, id text, kind text, lane text) language plpgsql as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_off text[] := '{}';
    v_applied text[];
    v_ended text[];
    v_back text[];
    v_kinds text[];
    v_lanes text[];
begin
    if exists (select 1 from unnest(p_keys) k where k is not null) then
        select coalesce(array_agg(a.id), '{}') into v_off
          from unnest(p_ids, p_keys) a(id, key)
         where a.key is not null and not pg_try_advisory_xact_lock(queue.key_lock(a.key));
        if cardinality(v_off) > 0 then
            -- A job that ends for good needs the lock only if nobody visible follows: what is being enqueued comes later than that one.
            select coalesce(array_agg(b), '{}') into v_off from unnest(v_off) b
             where b not in (
                select a.id from unnest(p_ids, p_outcomes, p_keys) a(id, outcome, key)
                 cross join lateral (select n.id from apalis.jobs n where n.ordering_key = a.key and n.status in ('Pending', 'Running')
                                        and n.id <> a.id order by n.seq limit 1) n
                 where a.id = any (v_off) and a.outcome in (0, 3)
                   and exists (select 1 from apalis.jobs s where s.id = n.id for no key update skip locked));
            return query select 'd', unnest(v_off), null::text, null::text;
        end if;
    end if;

    with ended as (
        update apalis.jobs j set
            status = case when a.outcome = 0 then 'Done' when a.outcome = 3 then 'Killed'
                          when queue.is_final(a.outcome, j.attempts, j.max_attempts, j.lost_leases, j.max_lost_leases,
                                              v_now + make_interval(secs => a.delay), j.deadline) then 'Failed'
                          else 'Pending' end,
            attempts = j.attempts + (a.outcome in (0, 1, 3))::integer,
            lost_leases = j.lost_leases + (a.outcome = 5)::integer,
            done_at = case when queue.is_final(a.outcome, j.attempts, j.max_attempts, j.lost_leases, j.max_lost_leases,
                                               v_now + make_interval(secs => a.delay), j.deadline) then v_now end,
            run_at = case when a.outcome in (1, 2) then v_now + make_interval(secs => a.delay) else j.run_at end,
            gate = case when a.outcome in (1, 2) and a.delay > 0
                         and not queue.is_final(a.outcome, j.attempts, j.max_attempts, j.lost_leases, j.max_lost_leases,
                                                v_now + make_interval(secs => a.delay), j.deadline) then 2 else 0 end,
            lock_by = case when queue.is_final(a.outcome, j.attempts, j.max_attempts, j.lost_leases, j.max_lost_leases,
                                               v_now + make_interval(secs => a.delay), j.deadline) then j.lock_by end,
            last_result = case
                when a.outcome = 4 then j.last_result
                when a.outcome in (1, 2) and v_now + make_interval(secs => a.delay) > j.deadline
                    then jsonb_build_object('Err', 'the deadline has passed; last: ' || (a.result::jsonb ->> 'Err'))
                else a.result::jsonb end
          from unnest(p_ids, p_by, p_tokens, p_outcomes, p_delays, p_results) as a(id, lock_by, token, outcome, delay, result)
         where j.id = a.id and (j.status = 'Running') is true and j.lock_by = a.lock_by and j.lock_at = a.token and a.id <> all (v_off)
        returning j.id, j.ordering_key, j.status, j.job_type, j.lane, j.gate)
    select coalesce(array_agg(e.id), '{}'),
           coalesce(array_agg(e.ordering_key) filter (where e.status <> 'Pending' and e.ordering_key is not null), '{}'),
           coalesce(array_agg(e.id) filter (where e.status = 'Pending' and e.ordering_key is not null), '{}'),
           coalesce(array_agg(e.job_type) filter (where e.status = 'Pending' and e.gate = 0), '{}'),
           coalesce(array_agg(e.lane) filter (where e.status = 'Pending' and e.gate = 0), '{}')
      into v_applied, v_ended, v_back, v_kinds, v_lanes
      from ended e;

    -- Somebody retried an earlier job of the key by hand while this one ran: that one is the head now.
    if cardinality(v_back) > 0 then
        with behind as (
            update apalis.jobs j set gate = 1
             where j.id = any (v_back)
               and exists (select 1 from apalis.jobs i where i.ordering_key = j.ordering_key and i.status in ('Pending', 'Running') and i.seq < j.seq)
            returning j.ordering_key)
        select v_ended || coalesce(array_agg(b.ordering_key), '{}') into v_ended from behind b;
    end if;

    return query select 'a', unnest(v_applied), null::text, null::text;
    if cardinality(v_kinds) > 0 then
        return query select distinct 'w', null::text, w.kind, w.lane from unnest(v_kinds, v_lanes) w(kind, lane);
    end if;
    if cardinality(v_ended) > 0 then
        return query select distinct 'w', null::text, p.kind, p.lane from queue.promote(v_ended) p where p.gate = 0;
    end if;
end $$;

-- ------------------------------------------------------------------------------------------------------------------ step
-- One round trip and one commit of a process' engine: outcomes, due schedules, claims.
-- Tags as in queue.finish, and: 'c' claimed; 'm' the pair may have more; 'w' a woken pair that was not asked for here;
-- 's' this process' registration of the kind is stale: it may not claim; 'n' the next scheduled time (at) and the clock (clock).
create function queue.step(p_worker text, p_ids text[], p_by text[], p_tokens timestamptz[], p_outcomes smallint[], p_delays float8[],
    p_results text[], p_keys text[], p_kinds text[], p_slots integer[], p_pair_kinds text[], p_pair_lanes text[], p_lanes text[],
    p_lease float8)
returns table (tag text, id text, kind text, lane text, payload bytea, ordering_key text, attempts integer, at timestamptz, clock timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_kinds text[] := '{}';
    v_lanes text[] := '{}';
    v_slots integer[] := p_slots;
    v_share integer;
    v_got integer;
    r record;
begin
    if cardinality(p_ids) > 0 then
        for r in select * from queue.finish(p_ids, p_by, p_tokens, p_outcomes, p_delays, p_results, p_keys) loop
            if r.tag = 'w' then
                v_kinds := v_kinds || r.kind;
                v_lanes := v_lanes || r.lane;
            else
                tag := r.tag;
                id := r.id;
                return next;
            end if;
        end loop;
    end if;
    v_now := clock_timestamp();

    for r in
        update apalis.jobs j set gate = 0
         where j.id = any (array(select s.id from apalis.jobs s where s.status = 'Pending' and s.gate = 2 and s.run_at <= v_now
                                  order by s.run_at limit 1000 for no key update skip locked))
        returning j.job_type as kind, j.lane
    loop
        v_kinds := v_kinds || r.kind;
        v_lanes := v_lanes || r.lane;
    end loop;

    if cardinality(v_kinds) > 0 then
        return query select distinct 'w', null::text, w.kind, w.lane, null::bytea, null::text, null::integer, null::timestamptz, null::timestamptz
          from unnest(v_kinds, v_lanes) w(kind, lane) where not (w.kind = any (p_kinds) and w.lane = any (p_lanes));
    end if;

    if cardinality(p_kinds) > 0 then
        return query select 's', null::text, k.kind, null::text, null::bytea, null::text, null::integer, null::timestamptz, null::timestamptz
          from unnest(p_kinds) k(kind)
         where not exists (select 1 from apalis.workers v where v.id = p_worker || '/' || k.kind
                              and v.last_seen > v_now - make_interval(secs => p_lease));
        for r in
            select s.kind, s.lane, array_position(p_kinds, s.kind) as place, row_number() over (partition by s.kind order by s.turn desc) as sharers
              from (select p.kind, p.lane, min(p.turn) as turn from (
                        select a.kind, a.lane, a.turn from unnest(p_pair_kinds, p_pair_lanes) with ordinality a(kind, lane, turn)
                        union all
                        select b.kind, b.lane, 1000000 from unnest(v_kinds, v_lanes) b(kind, lane) where b.lane = any (p_lanes)) p
                     group by 1, 2) s
             cross join lateral (select 1 from apalis.jobs j
                                  where j.job_type = s.kind and j.lane = s.lane and j.status = 'Pending' and j.gate = 0 limit 1) ready
             where s.kind = any (p_kinds)
               and exists (select 1 from apalis.workers v where v.id = p_worker || '/' || s.kind
                              and v.last_seen > v_now - make_interval(secs => p_lease))
             order by s.turn
        loop
            v_share := ceil(v_slots[r.place]::float8 / r.sharers);
            v_got := 0;
            if v_share > 0 then
                return query
                update apalis.jobs j set status = 'Running', lock_by = p_worker || '/' || j.job_type, lock_at = v_now,
                       unique_scope = case j.unique_scope when 1 then 0 else j.unique_scope end
                 where j.id = any (array(select s.id from apalis.jobs s
                                          where s.job_type = r.kind and s.lane = r.lane and s.status = 'Pending' and s.gate = 0
                                          order by s.priority desc, s.run_at, s.seq limit v_share for no key update skip locked))
                returning 'c', j.id, j.job_type, j.lane, j.job, j.ordering_key, j.attempts, j.lock_at, j.run_at;
                get diagnostics v_got = row_count;
                v_slots[r.place] := v_slots[r.place] - v_got;
            end if;
            if v_got = v_share then
                return query select 'm', null::text, r.kind, r.lane, null::bytea, null::text, null::integer, null::timestamptz, null::timestamptz;
            end if;
        end loop;
    end if;

    return query select 'n', null::text, null::text, null::text, null::bytea, null::text, null::integer,
        (select s.run_at from apalis.jobs s where s.status = 'Pending' and s.gate = 2 order by s.run_at limit 1), clock_timestamp();
end $$;

-- ------------------------------------------------------------------------------------------------------------------ leases
-- Registers or renews a process' workers, one per kind.
create function queue.renew(p_worker text, p_kinds text[]) returns void language sql as $$
    insert into apalis.workers (id, worker_type, storage_name, layers, last_seen, started_at)
    select p_worker || '/' || k, k, 'tuberry', '', clock_timestamp(), clock_timestamp() from unnest(p_kinds) k
    on conflict (id) do update set last_seen = excluded.last_seen
$$;

-- Puts the running jobs of silent processes back into line. Answers how many, and the pairs that are ready now.
create function queue.reap(p_lease float8, out reaped bigint, out wake_ups text[]) language plpgsql as $$
begin
    with silent as materialized (
        select j.id, j.lock_by, j.lock_at, j.ordering_key from apalis.jobs j
         where j.status = 'Running'
           and not exists (select 1 from apalis.workers v where v.id = j.lock_by
                              and v.last_seen >= clock_timestamp() - make_interval(secs => p_lease))
         limit 5000),
    columns as (
        select array_agg(s.id) as ids, array_agg(s.lock_by) as by, array_agg(s.lock_at) as tokens, array_agg(5::smallint) as outcomes,
               array_agg(0::float8) as delays, array_agg('{"Err":"its process was lost"}'::text) as results, array_agg(s.ordering_key) as keys
          from silent s)
    select count(*) filter (where f.tag = 'a'), coalesce(array_agg(distinct f.kind || E'\t' || f.lane) filter (where f.tag = 'w'), '{}')
      into reaped, wake_ups
      from columns c cross join lateral queue.finish(c.ids, c.by, c.tokens, c.outcomes, c.delays, c.results, c.keys) f
     where c.ids is not null;
    if reaped > 0 then
        delete from apalis.workers v where v.storage_name = 'tuberry' and v.last_seen < clock_timestamp() - make_interval(secs => p_lease * 100);
    end if;
end $$;

-- After a step whose answer was lost: gives back what it may have claimed for this process, all but what the process knows of.
create function queue.give_back_unanswered(p_worker text, p_kinds text[], p_known text[], out given_back bigint, out wake_ups text[])
language plpgsql as $$
begin
    with unknown as materialized (
        select j.id, j.lock_by, j.lock_at, j.ordering_key from unnest(p_kinds) k
         cross join lateral (select * from apalis.jobs j where j.status = 'Running' and j.lock_by = p_worker || '/' || k) j
         where j.id <> all (p_known)),
    columns as (
        select array_agg(s.id) as ids, array_agg(s.lock_by) as by, array_agg(s.lock_at) as tokens, array_agg(4::smallint) as outcomes,
               array_agg(0::float8) as delays, array_agg(null::text) as results, array_agg(s.ordering_key) as keys
          from unknown s)
    select count(*) filter (where f.tag = 'a'), coalesce(array_agg(distinct f.kind || E'\t' || f.lane) filter (where f.tag = 'w'), '{}')
      into given_back, wake_ups
      from columns c cross join lateral queue.finish(c.ids, c.by, c.tokens, c.outcomes, c.delays, c.results, c.keys) f
     where c.ids is not null;
end $$;

-- A stopping process: its workers leave, unless a job of theirs is still marked as running (the lease will run out).
create function queue.leave(p_worker text, p_kinds text[]) returns void language sql as $$
    delete from apalis.workers v where v.id = any (array(select p_worker || '/' || k from unnest(p_kinds) k))
       and not exists (select 1 from apalis.jobs j where j.status = 'Running' and j.lock_by = v.id)
$$;

-- ------------------------------------------------------------------------------------------------------------------ operators
-- Kills the waiting jobs of a kind and an account, and lets those behind them go.
create function queue.cancel_waiting(p_kind text, p_lane text, p_reason text, out cancelled bigint, out wake_ups text[])
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
    v_locked text[];
    v_keys text[];
begin
    v_locked := array(select distinct j.ordering_key from apalis.jobs j
                       where j.lane = p_lane and j.job_type = p_kind and j.status = 'Pending' and j.lane <> '' and j.ordering_key is not null);
    perform pg_advisory_xact_lock(l.number) from (select distinct queue.key_lock(k) as number from unnest(v_locked) k order by 1) l;
    with killed as (
        update apalis.jobs j set status = 'Killed', gate = 0, done_at = clock_timestamp(), last_result = jsonb_build_object('Err', p_reason)
         where j.lane = p_lane and j.job_type = p_kind and j.status = 'Pending' and j.lane <> ''
           and (j.ordering_key is null or j.ordering_key = any (v_locked))
        returning j.ordering_key)
    select count(*), coalesce(array_agg(distinct k.ordering_key) filter (where k.ordering_key is not null), '{}')
      into cancelled, v_keys from killed k;
    select coalesce(array_agg(distinct queue.wake_up(p.kind, p.lane, p.gate, p.run_at)), '{}') into wake_ups from queue.promote(v_keys) p;
end $$;

-- Puts a dead job back, ahead of all that were enqueued after it in its key. False: it is not dead, or its unique key lives in another job.
create function queue.retry_dead(p_id text, out retried boolean, out wake_ups text[])
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
    v_job record;
    v_head record;
    v_now timestamptz := clock_timestamp();
    v_gate smallint := 0;
begin
    retried := false;
    wake_ups := '{}';
    perform pg_advisory_xact_lock(queue.key_lock(j.ordering_key)) from apalis.jobs j where j.id = p_id and j.ordering_key is not null;
    select * into v_job from apalis.jobs j where j.id = p_id and j.status in ('Killed', 'Failed') for update;
    if not found then
        return;
    end if;
    if v_job.unique_scope = 2 and exists (select 1 from apalis.jobs j where j.job_type = v_job.job_type and j.idempotency_key = v_job.idempotency_key
                                             and j.unique_scope in (1, 2) and j.status in ('Pending', 'Running')) then
        return;
    end if;
    if v_job.ordering_key is not null then
        select j.id, j.seq, j.status into v_head from apalis.jobs j
         where j.ordering_key = v_job.ordering_key and j.gate <> 1 and j.status in ('Pending', 'Running');
        if found and (v_head.status = 'Running' or v_head.seq < v_job.seq) then
            v_gate := 1;
        elsif found then
            update apalis.jobs j set gate = 1 where j.id = v_head.id and j.status = 'Pending';
            if not found then
                v_gate := 1; -- claimed meanwhile
            end if;
        end if;
    end if;
    update apalis.jobs j set status = 'Pending', gate = v_gate, run_at = v_now, attempts = 0, lost_leases = 0, done_at = null, lock_by = null,
           unique_scope = case j.unique_scope when 1 then 0 else j.unique_scope end,
           deadline = v_now + (j.deadline - j.enqueued_at)
     where j.id = p_id;
    retried := true;
    if v_gate = 0 then
        wake_ups := array[v_job.job_type || E'\t' || v_job.lane];
    end if;
end $$;

-- Keys without a head cannot come about by these functions; hand-made updates and deletes can leave some. Answers how many were repaired.
create function queue.heal(out healed bigint, out wake_ups text[]) language plpgsql as $$
begin
    with recursive keys(key) as (
        (select j.ordering_key from apalis.jobs j where j.ordering_key is not null and j.status in ('Pending', 'Running')
          order by j.ordering_key limit 1)
        union all
        select (select j.ordering_key from apalis.jobs j where j.ordering_key > k.key and j.ordering_key is not null
                   and j.status in ('Pending', 'Running') order by j.ordering_key limit 1)
          from keys k where k.key is not null),
    headless as materialized (
        select k.key from keys k where k.key is not null
           and not exists (select 1 from apalis.jobs h where h.ordering_key = k.key and h.gate <> 1 and h.status in ('Pending', 'Running'))
           and pg_try_advisory_xact_lock(queue.key_lock(k.key)))
    select count(*), coalesce(array_agg(queue.wake_up(p.kind, p.lane, p.gate, p.run_at)), '{}') into healed, wake_ups
      from queue.promote(array(select h.key from headless h)) p;
end $$;

-- Deletes finished jobs, oldest first.
create function queue.purge(p_older_than float8, p_limit integer) returns bigint
language sql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
    with gone as (
        delete from apalis.jobs j where j.id = any (array(
            select i.id from apalis.jobs i where i.status in ('Done', 'Killed', 'Failed')
               and i.done_at < clock_timestamp() - make_interval(secs => p_older_than) order by i.done_at limit p_limit for update skip locked))
        returning 1)
    select count(*) from gone
$$;

-- Every pair of kind and lane that has ready jobs (one index probe each), and the next scheduled time.
create function queue.sweep(out kinds text[], out lanes text[], out next timestamptz, out clock timestamptz) language plpgsql as $$
begin
    with recursive pairs(kind, lane) as (
        (select j.job_type, j.lane from apalis.jobs j where j.status = 'Pending' and j.gate = 0 order by j.job_type, j.lane limit 1)
        union all
        select n.job_type, n.lane from pairs p
         cross join lateral (select j.job_type, j.lane from apalis.jobs j
                              where j.status = 'Pending' and j.gate = 0 and (j.job_type, j.lane) > (p.kind, p.lane)
                              order by j.job_type, j.lane limit 1) n)
    select coalesce(array_agg(p.kind), '{}'), coalesce(array_agg(p.lane), '{}') into kinds, lanes from pairs p;
    select s.run_at into next from apalis.jobs s where s.status = 'Pending' and s.gate = 2 order by s.run_at limit 1;
    clock := clock_timestamp();
end $$;

-- Live and dead jobs per kind, and whether a living process runs the kind. Walks all live rows: for people, not for the engine.
create function queue.counts(p_lease float8) returns table (kind text, ready bigint, held bigint, scheduled bigint, running bigint,
    dead bigint, known boolean) language sql stable as $$
    select c.kind, sum(c.ready)::bigint, sum(c.held)::bigint, sum(c.scheduled)::bigint, sum(c.running)::bigint, sum(c.dead)::bigint,
           exists (select 1 from apalis.workers v where v.storage_name = 'tuberry' and v.worker_type = c.kind
                      and v.last_seen > clock_timestamp() - make_interval(secs => p_lease))
      from (select j.job_type as kind, count(*) filter (where j.status = 'Pending' and j.gate = 0) as ready,
                   count(*) filter (where j.gate = 1) as held, count(*) filter (where j.gate = 2) as scheduled,
                   count(*) filter (where j.status = 'Running') as running, 0 as dead
              from apalis.jobs j where j.status in ('Pending', 'Running') group by 1
            union all
            select j.job_type, 0, 0, 0, 0, count(*) from apalis.jobs j where j.status in ('Killed', 'Failed') group by 1) c
     group by 1
$$;
