-- The queue, second edition: whose a job is, what happened to it, hands on it, and statements that do not slow down beside dead rows.
--
-- Wake-ups on the channel, instead of those of 0002: a subject, a tab and microseconds since 1970. "<kind>\t<lane>\t<priority>" has ready jobs,
-- none of them older (run_at) than that; "@" is a time to look again; "!<id>" is a running job that somebody wants to end (0); "*" is a reason to
-- look everywhere (0).
--
-- A claim starts at the floor of its pair: the run_at below which there was nothing left. Index entries of finished jobs that a held snapshot
-- (a backup, an idle transaction) keeps alive lie below it and are not walked again. So whatever makes a row ready tells its run_at, and a job
-- that comes to the head of its key takes the present as its run_at.

alter table apalis.jobs
    add column client_id integer,                         -- whose it is (clients.id); null: the service's own
    add column account_id integer,                        -- about which account and dialog, for those who look
    add column dialog_id integer,
    add column runs integer not null default 0,           -- how often it was claimed and not given back unstarted
    add column cancel_reason text,                        -- of a running job: somebody wants it to end
    add column look_back boolean not null default false;  -- of a running job: an earlier one of its key was put back into line

-- One head per key is kept by the key's lock, not by an index: a unique one has to look at every entry of the key that a held snapshot keeps, at each
-- change of a head. (The tests' databases do have that index: they refuse a second head.)
drop index apalis.queue_head;

-- Each stands twice, by apalis' own migrations.
drop index if exists apalis.unique_worker_id;
drop index if exists apalis.wtidx;
drop index if exists apalis.idx_apalis_workers_worker_type;
drop index if exists apalis.lsidx;
drop index if exists apalis.idx_apalis_workers_last_seen;
alter table apalis.workers set (fillfactor = 50);

-- Runs that did not end well, the last 50 of each job. A run that ended well stands in the job's own row (lock_at, done_at, lock_by).
create table queue.attempts (
    job_id text not null,
    place smallint not null,          -- run modulo 50: a later run takes the place of an old one
    run integer not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    worker text not null,
    outcome smallint not null,        -- as in queue.finish: 1 retry, 2 snooze, 3 cancel, 5 lease lost
    error text,
    primary key (job_id, place)
);

create table queue.paused_kinds (
    kind text primary key,
    paused_at timestamptz not null default now(),
    paused_by integer                 -- users.id
);

-- What people did to jobs. Kept for good.
create table queue.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    user_id integer,
    client_id integer,                -- of whom the user may see jobs; null: of all
    action text not null,
    job_id text,
    details jsonb not null default '{}',
    affected bigint not null
);

-- Outcomes by minute, told by the processes with their heartbeats: what a killed process had not told yet is missing.
create table queue.throughput (
    minute timestamptz not null,
    kind text not null,
    done bigint not null default 0,
    retried bigint not null default 0,
    snoozed bigint not null default 0,
    dead bigint not null default 0,
    lost bigint not null default 0,
    primary key (minute, kind)
);

create function queue.microseconds(p_time timestamptz) returns bigint language sql stable parallel safe
return (extract(epoch from p_time) * 1000000)::bigint;

drop function queue.wake_up(text, text, smallint, timestamptz);
create function queue.wake_up(p_kind text, p_lane text, p_priority integer, p_gate smallint, p_run_at timestamptz) returns text
language sql stable
return case p_gate when 0 then p_kind || E'\t' || p_lane || E'\t' || p_priority || E'\t' || queue.microseconds(p_run_at)
                   when 2 then E'@\t' || queue.microseconds(p_run_at) end;

-- Whose a subject is: 1 a dialog, 2 a message, 3 an account, 4 a login (number), 5 a bot, 6 a client; anything else is the service's own.
-- In plpgsql, so that its look-ups are planned once for a session and not with every statement that calls it.
create function queue.whose(p_what smallint, p_subject integer, out client_id integer, out account_id integer, out dialog_id integer)
language plpgsql stable as $$
#variable_conflict use_column
begin
    if p_what = 1 then
        select d.client_id, o.account_id, d.id into client_id, account_id, dialog_id
          from dialogs d left join personal_telegram_dialogs o on o.dialog_id = d.id where d.id = p_subject;
    elsif p_what = 2 then
        select d.client_id, m.account_id, d.id into client_id, account_id, dialog_id
          from personal_telegram_messages m join dialogs d on d.id = m.dialog_id where m.message_id = p_subject;
    elsif p_what = 3 then
        select a.client_id, a.id into client_id, account_id from personal_telegram_accounts a where a.id = p_subject;
    elsif p_what = 4 then
        select l.client_id, l.account_id into client_id, account_id from personal_telegram_logins l where l.number = p_subject;
    elsif p_what = 5 then
        select b.client_id into client_id from bots b where b.id = p_subject;
    elsif p_what = 6 then
        client_id := p_subject;
    end if;
end $$;

-- ------------------------------------------------------------------------------------------------------------------ enqueue
drop function queue.enqueue(text, text[], bytea[], text[], text[], smallint[], text[], float8, timestamptz, integer, integer, float8);
create function queue.enqueue(p_kind text, p_ids text[], p_payloads bytea[], p_keys text[], p_lanes text[], p_priorities integer[],
    p_scopes smallint[], p_uniques text[], p_whats smallint[], p_subjects integer[], p_delay float8, p_at timestamptz,
    p_max_attempts integer, p_max_lost integer, p_deadline float8, p_metadata text[], out inserted bigint, out wake_ups text[])
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_at timestamptz := greatest(coalesce(p_at, v_now + make_interval(secs => p_delay)), v_now);
    v_open smallint := case when v_at > v_now then 2 else 0 end;
    v_deadline timestamptz := v_at + make_interval(secs => p_deadline);
    v_metadata hstore := coalesce(hstore(p_metadata), '');
    r record;
    v_twin record;
    v_gate smallint;
begin
    if array_remove(p_keys, null) <> '{}' then
        perform pg_advisory_xact_lock(l.number)
           from (select distinct queue.key_lock(k) as number from unnest(p_keys) k where k is not null order by 1) l;
    end if;

    if 0 = all (p_scopes) then
        -- Jobs that may start at once stand a microsecond apart: their run_at alone gives their order, and floors pass between them.
        with fresh as (
            insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata, ordering_key, lane, gate,
                                     enqueued_at, deadline, max_lost_leases, client_id, account_id, dialog_id)
            select t.id, p_kind, t.job, 'Pending', 0, p_max_attempts,
                   case v_open when 0 then v_at + make_interval(secs => (t.place - 1) * 0.000001) else v_at end, t.priority, v_metadata, t.key, t.lane,
                   case when t.key is not null and (h.live or row_number() over (partition by t.key order by t.place) > 1) then 1 else v_open end,
                   v_now, v_deadline, p_max_lost, w.client_id, w.account_id, w.dialog_id
              from unnest(p_ids, p_payloads, p_keys, p_lanes, p_priorities, p_whats, p_subjects)
                   with ordinality as t(id, job, key, lane, priority, what, subject, place)
              left join lateral (select true as live from apalis.jobs j
                                  where j.ordering_key = t.key and j.status in ('Pending', 'Running') order by j.seq desc limit 1) h on true
              left join lateral queue.whose(t.what, t.subject) w on true
             order by t.place
            returning lane, priority, gate, run_at)
        select sum(f.rows), coalesce(array_agg(queue.wake_up(p_kind, f.lane, f.priority, f.gate, f.run_at)) filter (where f.gate <> 1), '{}')
          into inserted, wake_ups
          from (select lane, priority, gate, min(run_at) as run_at, count(*) as rows from fresh group by 1, 2, 3) f;
        return;
    end if;

    inserted := 0;
    wake_ups := '{}';
    for r in select t.*, w.client_id, w.account_id, w.dialog_id
               from unnest(p_ids, p_payloads, p_keys, p_lanes, p_priorities, p_scopes, p_uniques, p_whats, p_subjects)
                    with ordinality as t(id, job, key, lane, priority, scope, uq, what, subject, place)
               left join lateral queue.whose(t.what, t.subject) w on true
              order by t.place
    loop
        if r.scope = 3 then
            insert into queue.spent_keys (kind, key) values (p_kind, r.uq) on conflict do nothing;
            continue when not found;
        end if;
        loop
            insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata, idempotency_key, unique_scope,
                                     ordering_key, lane, gate, enqueued_at, deadline, max_lost_leases, client_id, account_id, dialog_id)
            values (r.id, p_kind, r.job, 'Pending', 0, p_max_attempts, v_at, r.priority, v_metadata, r.uq, r.scope, r.key, r.lane,
                    case when exists (select 1 from apalis.jobs j where j.ordering_key = r.key and j.status in ('Pending', 'Running'))
                         then 1 else v_open end,
                    v_now, v_deadline, p_max_lost, r.client_id, r.account_id, r.dialog_id)
            on conflict (job_type, idempotency_key) where unique_scope in (1, 2) and status in ('Pending', 'Running') do nothing
            returning gate into v_gate;
            if found then
                inserted := inserted + 1;
                wake_ups := wake_ups || queue.wake_up(p_kind, r.lane, r.priority, v_gate, v_at);
                exit;
            end if;
            exit when r.scope <> 1;
            -- The one that waits must not start before this transaction ends: it would not see what the transaction wrote.
            select j.lane, j.gate, j.ordering_key, j.priority, j.run_at into v_twin from apalis.jobs j
             where j.job_type = p_kind and j.idempotency_key = r.uq and j.unique_scope in (1, 2) and j.status = 'Pending' for share;
            if found then
                if v_twin.ordering_key is distinct from r.key and v_twin.ordering_key is not null then
                    perform pg_advisory_xact_lock(queue.key_lock(v_twin.ordering_key));
                end if;
                if v_twin.gate <> 1 then
                    wake_ups := wake_ups || queue.wake_up(p_kind, v_twin.lane, v_twin.priority, 0::smallint, v_twin.run_at);
                end if;
                exit;
            end if;
            -- It has started meanwhile: insert again.
        end loop;
    end loop;
    select coalesce(array_agg(distinct w), '{}') into wake_ups from unnest(wake_ups) w where w is not null;
end $$;

-- ------------------------------------------------------------------------------------------------------------------ ends of runs
-- The earliest live row of each key, not before the place given with it, becomes its head.
drop function queue.promote(text[]);
create function queue.promote(p_keys text[], p_from bigint[]) returns table (kind text, lane text, priority integer, gate smallint, run_at timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
begin
    return query
    update apalis.jobs j set gate = case when j.run_at > v_now then 2 else 0 end, run_at = greatest(j.run_at, v_now)
     where j.ctid = any (array(
            select n.place from (select k.key, min(k.first) as first from unnest(p_keys, p_from) k(key, first) group by 1) d
             cross join lateral (select i.ctid as place from apalis.jobs i
                                  where i.ordering_key = d.key and i.status in ('Pending', 'Running') and i.seq >= d.first
                                  order by i.seq limit 1) n))
       and j.gate = 1 and j.status = 'Pending'
    returning j.job_type, j.lane, j.priority, j.gate, j.run_at;
end $$;

drop function queue.step(text, text[], text[], timestamptz[], smallint[], float8[], text[], text[], text[], integer[], text[], text[], text[], float8);
drop function queue.finish(text[], text[], timestamptz[], smallint[], float8[], text[], text[]);
drop function queue.is_final(smallint, integer, integer, integer, integer, timestamptz, timestamptz);

-- Why a run that asks for `outcome` is the job's last all the same; null if it is not.
create function queue.last_word(p_outcome smallint, p_attempts integer, p_max integer, p_lost integer, p_max_lost integer,
    p_next timestamptz, p_deadline timestamptz, p_cancel text) returns text language sql immutable
return case
    when p_outcome = 3 then 'Killed'
    when p_cancel is not null then 'Killed'
    when p_outcome = 1 and p_attempts + 1 >= p_max then 'Failed'
    when p_outcome = 5 and p_lost + 1 >= p_max_lost then 'Failed'
    when p_outcome in (1, 2) and p_next > p_deadline then 'Failed' end;

-- Applies outcomes: 0 done, 1 retry, 2 snooze, 3 cancel, 4 given back unstarted, 5 lease lost. Fenced by status, lock_by and lock_at.
-- Answers the ids that it applied, each with its outcome or 6 for a job that is dead now; the ids that it put off; the keys whose next job comes to
-- its turn, and from which place on to look for it; and the pairs with ready rows. An id that is in no answer was fenced.
create function queue.finish(p_ids text[], p_by text[], p_tokens timestamptz[], p_outcomes smallint[], p_delays float8[], p_results text[],
    p_keys text[], out applied text[], out numbers integer[], out put_off text[], out keys text[], out firsts bigint[],
    out kinds text[], out lanes text[], out priorities integer[], out floors timestamptz[]) language plpgsql as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    r record;
begin
    put_off := '{}'; applied := '{}'; keys := '{}'; firsts := '{}'; kinds := '{}'; lanes := '{}'; priorities := '{}'; floors := '{}';
    if array_remove(p_keys, null) <> '{}' then
        select coalesce(array_agg(a.id), '{}') into put_off
          from unnest(p_ids, p_keys) a(id, key)
         where a.key is not null and not pg_try_advisory_xact_lock(queue.key_lock(a.key));
        if cardinality(put_off) > 0 then
            -- A job that ends for good needs the lock only if nobody visible follows: what is being enqueued comes later than that one.
            select coalesce(array_agg(b), '{}') into put_off from unnest(put_off) b
             where b not in (
                select a.id from unnest(p_ids, p_outcomes, p_keys) a(id, outcome, key)
                 cross join lateral (select n.id from apalis.jobs n where n.ordering_key = a.key and n.status in ('Pending', 'Running')
                                        and n.id <> a.id order by n.seq limit 1) n
                 where a.id = any (put_off) and a.outcome in (0, 3)
                   and exists (select 1 from apalis.jobs s where s.id = n.id for no key update skip locked));
        end if;
    end if;

    if 0 = any (p_outcomes) then
        with ended as (
            update apalis.jobs j set status = 'Done', attempts = j.attempts + 1, done_at = v_now, last_result = '{"Ok": null}', cancel_reason = null
              from unnest(p_ids, p_by, p_tokens, p_outcomes) as a(id, lock_by, token, outcome)
             where j.id = a.id and a.outcome = 0 and (j.status = 'Running') is true and j.lock_by = a.lock_by and j.lock_at = a.token
               and a.id <> all (put_off)
            returning j.id, j.ordering_key, case when j.look_back then 0 else j.seq end as first)
        select coalesce(array_agg(e.id), '{}'), coalesce(array_agg(e.ordering_key) filter (where e.ordering_key is not null), '{}'),
               coalesce(array_agg(e.first) filter (where e.ordering_key is not null), '{}')
          into applied, keys, firsts from ended e;
    end if;
    numbers := array_fill(0, array[cardinality(applied)]);

    if exists (select 1 from unnest(p_outcomes) o where o <> 0) then
        -- The runs that are worth remembering. Whoever is locked here cannot be taken away before the update below.
        insert into queue.attempts as old (job_id, place, run, started_at, ended_at, worker, outcome, error)
        select j.id, j.runs % 50, j.runs, j.lock_at, v_now, j.lock_by, a.outcome, coalesce(j.cancel_reason, a.result::jsonb ->> 'Err')
          from unnest(p_ids, p_by, p_tokens, p_outcomes, p_results) as a(id, lock_by, token, outcome, result)
          join apalis.jobs j on j.id = a.id
         where a.outcome in (1, 2, 3, 5) and (j.status = 'Running') is true and j.lock_by = a.lock_by and j.lock_at = a.token
           and a.id <> all (put_off)
           for no key update of j
        on conflict (job_id, place) do update set run = excluded.run, started_at = excluded.started_at, ended_at = excluded.ended_at,
            worker = excluded.worker, outcome = excluded.outcome, error = excluded.error;
        for r in
            update apalis.jobs j set
                status = coalesce(w.word, 'Pending'),
                attempts = j.attempts + (a.outcome in (1, 3))::integer,
                lost_leases = j.lost_leases + (a.outcome = 5)::integer,
                runs = j.runs - (a.outcome = 4)::integer,
                done_at = case when w.word is not null then v_now end,
                run_at = case when a.outcome in (1, 2) then a.next when a.outcome = 5 then v_now else j.run_at end,
                gate = case when w.word is not null or a.next <= v_now then 0 else 2 end,
                lock_by = case when w.word is not null then j.lock_by end,
                cancel_reason = null,
                look_back = false,
                last_result = case
                    when j.cancel_reason is not null then jsonb_build_object('Err', j.cancel_reason)
                    when a.outcome = 4 then j.last_result
                    when w.word = 'Failed' and a.outcome in (1, 2) and a.next > j.deadline
                        then jsonb_build_object('Err', 'the deadline has passed; last: ' || (a.result::jsonb ->> 'Err'))
                    else a.result::jsonb end
              from (select a.*, case when a.outcome in (1, 2) then v_now + make_interval(secs => a.delay) else v_now end as next
                      from unnest(p_ids, p_by, p_tokens, p_outcomes, p_delays, p_results) as a(id, lock_by, token, outcome, delay, result)) a
              join apalis.jobs b on b.id = a.id
             cross join lateral (select queue.last_word(a.outcome, b.attempts, b.max_attempts, b.lost_leases, b.max_lost_leases, a.next, b.deadline,
                                                        b.cancel_reason) as word) w
             where j.id = b.id and a.outcome <> 0 and (j.status = 'Running') is true and j.lock_by = a.lock_by and j.lock_at = a.token
               and a.id <> all (put_off)
            returning j.id, j.job_type, j.lane, j.priority, j.ordering_key, j.status, j.gate, j.run_at, a.outcome, j.seq, b.look_back
        loop
            applied := applied || r.id;
            numbers := numbers || case when r.status = 'Pending' then r.outcome else 6 end;
            if r.ordering_key is not null and (r.status <> 'Pending' or r.look_back) then
                -- Somebody retried an earlier job of the key by hand while this one ran: that one is the head now.
                if r.status = 'Pending' and exists (select 1 from apalis.jobs i where i.ordering_key = r.ordering_key
                                                       and i.status in ('Pending', 'Running') and i.seq < r.seq) then
                    update apalis.jobs j set gate = 1 where j.id = r.id;
                    r.gate := 1;
                end if;
                keys := keys || r.ordering_key;
                firsts := firsts || case when r.look_back then 0 else r.seq end;
            end if;
            if r.status = 'Pending' and r.gate = 0 then
                kinds := kinds || r.job_type;
                lanes := lanes || r.lane;
                priorities := priorities || r.priority;
                floors := floors || r.run_at;
            end if;
        end loop;
    end if;
end $$;

-- queue.finish for rows of silent processes and lost answers: what comes to its turn is made ready, and told as wake-ups.
create function queue.finish_all(p_ids text[], p_by text[], p_tokens timestamptz[], p_outcome smallint, p_result text, p_keys text[],
    out ended bigint, out wake_ups text[]) language plpgsql as $$
declare
    v_count integer := cardinality(p_ids);
    v record;
begin
    ended := 0;
    wake_ups := '{}';
    if v_count > 0 then
        v := queue.finish(p_ids, p_by, p_tokens, array_fill(p_outcome, array[v_count]), array_fill(0::float8, array[v_count]),
                          array_fill(p_result, array[v_count]), p_keys);
        ended := cardinality(v.applied);
        wake_ups := array(
            select distinct queue.wake_up(w.kind, w.lane, w.priority, w.gate, w.run_at) from (
                select kind, lane, priority, 0::smallint as gate, floor as run_at
                  from unnest(v.kinds, v.lanes, v.priorities, v.floors) u(kind, lane, priority, floor)
                union all
                select * from queue.promote(v.keys, v.firsts)) w);
    end if;
end $$;

-- ------------------------------------------------------------------------------------------------------------------ step
-- One round trip and one commit of a process' engine: outcomes, due schedules, claims.
-- Tags: 'a' applied (ids, numbers as in queue.finish); 'd' put off (ids); 'c' claimed (number = attempts, at = lock_at, clock = run_at); 'm' there may be
-- more than were asked for; 'w' a pair that became ready here, none of it older than at; 's' this process' registration of the kind is stale: it may not
-- claim; 'n' the next scheduled time (at) and the clock (clock).
create function queue.step(p_worker text, p_ids text[], p_by text[], p_tokens timestamptz[], p_outcomes smallint[], p_delays float8[],
    p_results text[], p_keys text[], p_due boolean, p_kinds text[], p_slots integer[], p_pair_kinds text[], p_pair_lanes text[],
    p_pair_priorities integer[], p_pair_floors timestamptz[], p_lanes text[], p_lease float8)
returns table (tag text, id text, kind text, lane text, number integer, at timestamptz, payload bytea, ordering_key text, metadata text[],
    clock timestamptz, priority integer, ids text[], numbers integer[])
language plpgsql as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_keys text[] := '{}';
    v_firsts bigint[] := '{}';
    -- Pairs that became ready in this step.
    v_kinds text[] := '{}';
    v_lanes text[] := '{}';
    v_priorities integer[] := '{}';
    v_floors timestamptz[] := '{}';
    v_open text[] := '{}';
    v_slots integer[] := p_slots;
    v_share integer;
    v_got integer;
    v_direct tid[];
    v_behind tid[];
    r record;
begin
    if cardinality(p_ids) > 0 then
        r := queue.finish(p_ids, p_by, p_tokens, p_outcomes, p_delays, p_results, p_keys);
        tag := 'a'; ids := r.applied; numbers := r.numbers;
        return next;
        if cardinality(r.put_off) > 0 then
            tag := 'd'; ids := r.put_off;
            return next;
        end if;
        ids := null; numbers := null;
        v_keys := r.keys; v_firsts := r.firsts; v_kinds := r.kinds; v_lanes := r.lanes; v_priorities := r.priorities; v_floors := r.floors;
    end if;
    v_now := clock_timestamp();

    if p_due then
        for r in
            with due as (
                update apalis.jobs j set gate = 0
                 where j.ctid = any (array(select s.ctid from apalis.jobs s where s.status = 'Pending' and s.gate = 2 and s.run_at <= v_now
                                            order by s.run_at limit 1000 for no key update skip locked))
                   and j.status = 'Pending' and j.gate = 2
                returning j.job_type, j.lane, j.priority, j.run_at)
            select d.job_type, d.lane, d.priority, min(d.run_at) as run_at from due d group by 1, 2, 3
        loop
            v_kinds := v_kinds || r.job_type;
            v_lanes := v_lanes || r.lane;
            v_priorities := v_priorities || r.priority;
            v_floors := v_floors || r.run_at;
        end loop;
    end if;

    if cardinality(p_kinds) > 0 then
        for r in
            select k.kind, exists (select 1 from apalis.workers v where v.id = p_worker || '/' || k.kind
                                      and v.last_seen > v_now - make_interval(secs => p_lease)) as fresh,
                   exists (select 1 from queue.paused_kinds h where h.kind = k.kind) as paused
              from unnest(p_kinds) k(kind)
        loop
            if not r.fresh then
                tag := 's'; kind := r.kind;
                return next;
            elsif not r.paused then
                v_open := v_open || r.kind;
            end if;
        end loop;
        -- Higher priorities first; what is equal shares the slots.
        for r in
            select s.kind, s.lane, s.priority, s.floor, array_position(p_kinds, s.kind) as place,
                   row_number() over (partition by s.kind, s.priority order by s.turn desc) as sharers
              from (select p.kind, p.lane, p.priority, min(p.floor) as floor, min(p.turn) as turn from (
                        select a.kind, a.lane, a.priority, a.floor, a.turn
                          from unnest(p_pair_kinds, p_pair_lanes, p_pair_priorities, p_pair_floors) with ordinality a(kind, lane, priority, floor, turn)
                        union all
                        select b.kind, b.lane, b.priority, b.floor, 1000000
                          from unnest(v_kinds, v_lanes, v_priorities, v_floors) b(kind, lane, priority, floor) where b.lane = any (p_lanes)) p
                     group by 1, 2, 3) s
             cross join lateral (select 1 from apalis.jobs j
                                  where j.job_type = s.kind and j.lane = s.lane and j.priority = s.priority and j.status = 'Pending' and j.gate = 0
                                    and j.run_at >= s.floor limit 1) ready
             where s.kind = any (v_open)
             order by s.priority desc, s.turn
        loop
            v_share := ceil(v_slots[r.place]::float8 / r.sharers);
            v_got := 0;
            if v_share > 0 then
                -- Nothing but a claim changes a ready row: the place that the inner query locked is the row's.
                return query
                with claimed as (
                    update apalis.jobs j set status = 'Running', lock_by = p_worker || '/' || r.kind, lock_at = v_now, runs = j.runs + 1,
                           unique_scope = case j.unique_scope when 1 then 0 else j.unique_scope end
                     where j.ctid = any (array(
                            select s.ctid from apalis.jobs s
                             where s.job_type = r.kind and s.lane = r.lane and s.priority = r.priority and s.status = 'Pending' and s.gate = 0
                               and s.run_at >= r.floor
                             order by s.run_at, s.seq limit v_share for no key update skip locked))
                    returning j.id, j.attempts, j.job, j.ordering_key, j.metadata, j.run_at)
                select 'c', c.id, r.kind, r.lane, c.attempts, v_now, c.job, c.ordering_key,
                       case when c.metadata <> '' then hstore_to_array(c.metadata) end, c.run_at, r.priority, null::text[], null::integer[]
                  from claimed c;
                get diagnostics v_got = row_count;
                v_slots[r.place] := v_slots[r.place] - v_got;
            end if;
            if v_got = v_share then
                tag := 'm'; kind := r.kind; lane := r.lane; priority := r.priority; at := r.floor;
                return next;
            end if;
        end loop;
    end if;

    if cardinality(v_keys) > 0 then
        -- The next job of each key. Where slots are left it is claimed at once, else it stands in line behind all that is ready.
        select coalesce(array_agg(h.place) filter (where h.rank <= h.room), '{}'), coalesce(array_agg(h.place) filter (where (h.rank <= h.room) is not true), '{}')
          into v_direct, v_behind
          from (select n.place, row_number() over (partition by n.job_type, n.may_run order by n.run_at) as rank,
                       case when n.may_run then v_slots[array_position(p_kinds, n.job_type)] end as room
                  from (select k.key, min(k.first) as first from unnest(v_keys, v_firsts) k(key, first) group by 1) d
                 cross join lateral (
                    select i.ctid as place, i.job_type, i.run_at, i.gate, i.status,
                           i.job_type = any (v_open) and i.lane = any (p_lanes) and i.run_at <= v_now as may_run
                      from apalis.jobs i
                     where i.ordering_key = d.key and i.status in ('Pending', 'Running') and i.seq >= d.first
                     order by i.seq limit 1) n
                 where n.gate = 1 and n.status = 'Pending') h;
        if cardinality(v_direct) > 0 then
            return query
            with claimed as (
                update apalis.jobs j set status = 'Running', gate = 0, lock_by = p_worker || '/' || j.job_type, lock_at = v_now, runs = j.runs + 1,
                       unique_scope = case j.unique_scope when 1 then 0 else j.unique_scope end
                 where j.ctid = any (v_direct) and j.gate = 1 and j.status = 'Pending'
                returning j.id, j.job_type, j.lane, j.attempts, j.job, j.ordering_key, j.metadata, j.run_at, j.priority)
            select 'c', c.id, c.job_type, c.lane, c.attempts, v_now, c.job, c.ordering_key,
                   case when c.metadata <> '' then hstore_to_array(c.metadata) end, c.run_at, c.priority, null::text[], null::integer[]
              from claimed c;
        end if;
        if cardinality(v_behind) > 0 then
            for r in
                with promoted as (
                    update apalis.jobs j set gate = case when j.run_at > v_now then 2 else 0 end, run_at = greatest(j.run_at, v_now)
                     where j.ctid = any (v_behind) and j.gate = 1 and j.status = 'Pending'
                    returning j.job_type, j.lane, j.priority, j.gate, j.run_at)
                select p.job_type, p.lane, p.priority, min(p.run_at) as run_at from promoted p where p.gate = 0 group by 1, 2, 3
            loop
                tag := 'w'; kind := r.job_type; lane := r.lane; priority := r.priority; at := r.run_at;
                return next;
            end loop;
        end if;
    end if;
    if cardinality(v_kinds) > 0 then
        for r in
            select w.kind, w.lane, w.priority, min(w.floor) as floor from unnest(v_kinds, v_lanes, v_priorities, v_floors) w(kind, lane, priority, floor)
             where not (w.kind = any (p_kinds) and w.lane = any (p_lanes)) group by 1, 2, 3
        loop
            tag := 'w'; kind := r.kind; lane := r.lane; priority := r.priority; at := r.floor;
            return next;
        end loop;
    end if;

    tag := 'n'; kind := null; lane := null; priority := null;
    at := (select s.run_at from apalis.jobs s where s.status = 'Pending' and s.gate = 2 order by s.run_at limit 1);
    clock := clock_timestamp();
    return next;
end $$;

-- ------------------------------------------------------------------------------------------------------------------ leases
-- Registers or renews a process' workers, one per kind; tells what ended since the last time, by kind. Answers the running jobs of this process
-- that somebody wants to end.
drop function queue.renew(text, text[]);
create function queue.renew(p_worker text, p_kinds text[], p_tally_kinds text[], p_done bigint[], p_retried bigint[], p_snoozed bigint[],
    p_dead bigint[], p_lost bigint[]) returns text[] language plpgsql as $$
begin
    insert into apalis.workers (id, worker_type, storage_name, layers, last_seen, started_at)
    select p_worker || '/' || k, k, 'tuberry', '', clock_timestamp(), clock_timestamp() from unnest(p_kinds) k
    on conflict (id) do update set last_seen = excluded.last_seen;
    if cardinality(p_tally_kinds) > 0 then
        insert into queue.throughput as old (minute, kind, done, retried, snoozed, dead, lost)
        select date_trunc('minute', clock_timestamp()), t.* from unnest(p_tally_kinds, p_done, p_retried, p_snoozed, p_dead, p_lost) t order by 2
        on conflict (minute, kind) do update set done = old.done + excluded.done, retried = old.retried + excluded.retried,
            snoozed = old.snoozed + excluded.snoozed, dead = old.dead + excluded.dead, lost = old.lost + excluded.lost;
    end if;
    return array(select j.id from unnest(p_kinds) k
                  cross join lateral (select i.id from apalis.jobs i where i.status = 'Running' and i.lock_by = p_worker || '/' || k
                                         and i.cancel_reason is not null) j);
end $$;

-- Puts the running jobs of silent processes back into line. Answers how many, and the wake-ups to send.
create or replace function queue.reap(p_lease float8, out reaped bigint, out wake_ups text[]) language plpgsql as $$
declare
    s record;
begin
    select array_agg(j.id) as ids, array_agg(j.lock_by) as owners, array_agg(j.lock_at) as tokens, array_agg(j.ordering_key) as keys into s
      from (select j.id, j.lock_by, j.lock_at, j.ordering_key from apalis.jobs j
             where j.status = 'Running'
               and not exists (select 1 from apalis.workers v where v.id = j.lock_by
                                  and v.last_seen >= clock_timestamp() - make_interval(secs => p_lease))
             limit 5000) j;
    select f.ended, f.wake_ups into reaped, wake_ups
      from queue.finish_all(s.ids, s.owners, s.tokens, 5::smallint, '{"Err":"its process was lost"}', s.keys) f;
    if reaped > 0 then
        delete from apalis.workers v where v.storage_name = 'tuberry' and v.last_seen < clock_timestamp() - make_interval(secs => p_lease * 100);
    end if;
end $$;

-- After a step whose answer was lost: gives back what it may have claimed for this process, all but what the process knows of.
create or replace function queue.give_back_unanswered(p_worker text, p_kinds text[], p_known text[], out given_back bigint, out wake_ups text[])
language plpgsql as $$
declare
    s record;
begin
    select array_agg(j.id) as ids, array_agg(j.lock_by) as owners, array_agg(j.lock_at) as tokens, array_agg(j.ordering_key) as keys into s
      from unnest(p_kinds) k
     cross join lateral (select * from apalis.jobs j where j.status = 'Running' and j.lock_by = p_worker || '/' || k) j
     where j.id <> all (p_known);
    select f.ended, f.wake_ups into given_back, wake_ups
      from queue.finish_all(s.ids, s.owners, s.tokens, 4::smallint, null, s.keys) f;
end $$;

-- ------------------------------------------------------------------------------------------------------------------ hands
-- Kills the waiting jobs of a kind and an account, and lets those behind them go.
create or replace function queue.cancel_waiting(p_kind text, p_lane text, p_reason text, out cancelled bigint, out wake_ups text[])
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
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
    select coalesce(array_agg(distinct queue.wake_up(p.kind, p.lane, p.priority, p.gate, p.run_at)), '{}') into wake_ups
      from queue.promote(v_keys, array_fill(0::bigint, array[cardinality(v_keys)])) p;
end $$;

-- Puts a dead job back, ahead of all that were enqueued after it in its key. False: it is not dead, or its unique key lives in another job.
create or replace function queue.retry_dead(p_id text, out retried boolean, out wake_ups text[])
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
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
        -- The head, held where it is until this transaction ends: it is claimed before, or after.
        select * into v_head from apalis.jobs j
         where j.ordering_key = v_job.ordering_key and j.gate <> 1 and j.status in ('Pending', 'Running') order by j.seq limit 1 for update;
        if found and v_head.status = 'Pending' and v_head.seq > v_job.seq then
            update apalis.jobs j set gate = 1 where j.id = v_head.id;
        elsif found then
            v_gate := 1;
            update apalis.jobs j set look_back = true where j.id = v_head.id and v_head.seq > v_job.seq;
            if v_head.status = 'Pending' then
                -- A claim may have passed over it meanwhile.
                wake_ups := array[queue.wake_up(v_head.job_type, v_head.lane, v_head.priority, v_head.gate, v_head.run_at)];
            end if;
        end if;
    end if;
    update apalis.jobs j set status = 'Pending', gate = v_gate, run_at = v_now, attempts = 0, lost_leases = 0, done_at = null, lock_by = null,
           look_back = false, unique_scope = case j.unique_scope when 1 then 0 else j.unique_scope end,
           deadline = v_now + (j.deadline - j.enqueued_at)
     where j.id = p_id;
    retried := true;
    wake_ups := array_remove(wake_ups || queue.wake_up(v_job.job_type, v_job.lane, v_job.priority, v_gate, v_now), null);
end $$;

-- Kills a job that waits; asks the process of one that runs to end it. Answers 'killed', 'asked', or 'finished' (dead or done already).
create function queue.cancel(p_id text, p_reason text, out answer text, out wake_ups text[])
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_job record;
begin
    wake_ups := '{}';
    perform pg_advisory_xact_lock(queue.key_lock(j.ordering_key)) from apalis.jobs j where j.id = p_id and j.ordering_key is not null;
    select * into v_job from apalis.jobs j where j.id = p_id for update;
    if v_job.status = 'Pending' then
        answer := 'killed';
        update apalis.jobs j set status = 'Killed', gate = 0, done_at = clock_timestamp(), last_result = jsonb_build_object('Err', p_reason)
         where j.id = p_id;
        if v_job.ordering_key is not null then
            select coalesce(array_agg(queue.wake_up(p.kind, p.lane, p.priority, p.gate, p.run_at)), '{}') into wake_ups
              from queue.promote(array[v_job.ordering_key], array[0::bigint]) p;
        end if;
    elsif v_job.status = 'Running' then
        answer := 'asked';
        update apalis.jobs j set cancel_reason = p_reason where j.id = p_id;
        wake_ups := array['!' || p_id || E'\t0'];
    elsif v_job.id is not null then
        answer := 'finished';
    end if;
end $$;

-- A job that waits for a time does not wait any longer; behind the head of its key it comes when its turn does. False: it does not wait.
create function queue.run_now(p_id text, out moved boolean, out wake_ups text[]) language plpgsql as $$
declare
    v_job record;
    v_now timestamptz := clock_timestamp();
begin
    update apalis.jobs j set run_at = least(j.run_at, v_now), gate = case j.gate when 2 then 0 else j.gate end
     where j.id = p_id and j.status = 'Pending'
    returning * into v_job;
    moved := found;
    wake_ups := case when found then
        array_remove(array[queue.wake_up(v_job.job_type, v_job.lane, v_job.priority, v_job.gate, v_job.run_at)], null) else '{}' end;
end $$;

-- Deletes a job that does not run, and its history. Answers 'deleted', 'running', or null: there is none.
create function queue.remove(p_id text, out answer text, out wake_ups text[])
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
    v_job record;
begin
    wake_ups := '{}';
    perform pg_advisory_xact_lock(queue.key_lock(j.ordering_key)) from apalis.jobs j where j.id = p_id and j.ordering_key is not null;
    select * into v_job from apalis.jobs j where j.id = p_id for update;
    if v_job.status = 'Running' then
        answer := 'running';
    elsif v_job.id is not null then
        answer := 'deleted';
        delete from apalis.jobs j where j.id = p_id;
        delete from queue.attempts a where a.job_id = p_id;
        if v_job.status = 'Pending' and v_job.ordering_key is not null then
            select coalesce(array_agg(queue.wake_up(p.kind, p.lane, p.priority, p.gate, p.run_at)), '{}') into wake_ups
              from queue.promote(array[v_job.ordering_key], array[0::bigint]) p;
        end if;
    end if;
end $$;

-- Keys without a head cannot come about by these functions; hand-made updates and deletes can leave some. Answers how many were repaired.
create or replace function queue.heal(out healed bigint, out wake_ups text[]) language plpgsql as $$
declare
    v_keys text[];
begin
    with recursive keys(key) as (
        (select j.ordering_key from apalis.jobs j where j.ordering_key is not null and j.status in ('Pending', 'Running')
          order by j.ordering_key limit 1)
        union all
        select (select j.ordering_key from apalis.jobs j where j.ordering_key > k.key and j.ordering_key is not null
                   and j.status in ('Pending', 'Running') order by j.ordering_key limit 1)
          from keys k where k.key is not null)
    select coalesce(array_agg(k.key), '{}') into v_keys
      from keys k where k.key is not null
       and not exists (select 1 from apalis.jobs h where h.ordering_key = k.key and h.gate <> 1 and h.status in ('Pending', 'Running'))
       and pg_try_advisory_xact_lock(queue.key_lock(k.key));
    select count(*), coalesce(array_agg(queue.wake_up(p.kind, p.lane, p.priority, p.gate, p.run_at)), '{}') into healed, wake_ups
      from queue.promote(v_keys, array_fill(0::bigint, array[cardinality(v_keys)])) p;
end $$;

-- Deletes finished jobs with their history, oldest first.
create or replace function queue.purge(p_older_than float8, p_limit integer) returns bigint
language sql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
    with gone as (
        delete from apalis.jobs j where j.id = any (array(
            select i.id from apalis.jobs i where i.status in ('Done', 'Killed', 'Failed')
               and i.done_at < clock_timestamp() - make_interval(secs => p_older_than) order by i.done_at limit p_limit for update skip locked))
        returning j.id, j.runs > 1 or j.status <> 'Done' as has_history),
    history as (
        delete from queue.attempts a using gone g where g.has_history and a.job_id = g.id),
    statistics as (
        delete from queue.throughput t where t.minute < clock_timestamp() - make_interval(secs => p_older_than))
    select count(*) from gone
$$;

-- Every pair of kind and lane that has ready jobs with their priorities (one index probe each) and the earliest run_at, and the next scheduled time.
drop function queue.sweep();
create function queue.sweep(out kinds text[], out lanes text[], out priorities integer[], out floors timestamptz[], out next timestamptz,
    out clock timestamptz) language plpgsql as $$
begin
    with recursive pairs(kind, lane, priority, floor) as (
        (select j.job_type, j.lane, j.priority, j.run_at from apalis.jobs j where j.status = 'Pending' and j.gate = 0
          order by j.job_type, j.lane, j.priority desc, j.run_at limit 1)
        union all
        select n.* from pairs p
         cross join lateral (
            select * from (
                (select j.job_type, j.lane, j.priority, j.run_at from apalis.jobs j
                  where j.status = 'Pending' and j.gate = 0 and j.job_type = p.kind and j.lane = p.lane and j.priority < p.priority
                  order by j.job_type, j.lane, j.priority desc, j.run_at limit 1)
                union all
                (select j.job_type, j.lane, j.priority, j.run_at from apalis.jobs j
                  where j.status = 'Pending' and j.gate = 0 and (j.job_type, j.lane) > (p.kind, p.lane)
                  order by j.job_type, j.lane, j.priority desc, j.run_at limit 1)) o
             limit 1) n)
    select coalesce(array_agg(p.kind), '{}'), coalesce(array_agg(p.lane), '{}'), coalesce(array_agg(p.priority), '{}'),
           coalesce(array_agg(p.floor), '{}')
      into kinds, lanes, priorities, floors from pairs p;
    select s.run_at into next from apalis.jobs s where s.status = 'Pending' and s.gate = 2 order by s.run_at limit 1;
    clock := clock_timestamp();
end $$;

-- Live and dead jobs per kind of one client or of all, whether a living process runs the kind, and whether it is paused.
drop function queue.counts(float8);
create function queue.counts(p_client integer, p_lease float8) returns table (kind text, ready bigint, held bigint, scheduled bigint,
    running bigint, dead bigint, known boolean, paused boolean) language sql stable as $$
    select c.kind, sum(c.ready)::bigint, sum(c.held)::bigint, sum(c.scheduled)::bigint, sum(c.running)::bigint, sum(c.dead)::bigint,
           exists (select 1 from apalis.workers v where v.storage_name = 'tuberry' and v.worker_type = c.kind
                      and v.last_seen > clock_timestamp() - make_interval(secs => p_lease)),
           exists (select 1 from queue.paused_kinds h where h.kind = c.kind)
      from (select j.job_type as kind, count(*) filter (where j.status = 'Pending' and j.gate = 0) as ready,
                   count(*) filter (where j.gate = 1) as held, count(*) filter (where j.gate = 2) as scheduled,
                   count(*) filter (where j.status = 'Running') as running, 0 as dead
              from apalis.jobs j where j.status in ('Pending', 'Running') and (p_client is null or j.client_id = p_client) group by 1
            union all
            select j.job_type, 0, 0, 0, 0, count(*) from apalis.jobs j
             where j.status in ('Killed', 'Failed') and (p_client is null or j.client_id = p_client) group by 1
            union all
            select h.kind, 0, 0, 0, 0, 0 from queue.paused_kinds h) c
     group by 1
$$;
