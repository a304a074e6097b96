-- Who is signed in to the portal. No reference to users: nothing of ours binds a shared table; a session of a user that is gone or inactive is worth
-- nothing.
create table portal_sessions (
    id bytea primary key,                       -- sha256 of the cookie
    user_id integer not null,
    created_at timestamptz not null default now(),
    seen_at timestamptz not null default now(), -- noted every few minutes
    ends_at timestamptz not null
);
create index portal_sessions_of_user on portal_sessions (user_id);
create index portal_sessions_ended on portal_sessions (ends_at);
