//! Users of the portal: who may log in, in what role, for which tenant.

use crate::{Result, Tx};
use sqlx::PgPool;
use tuberry_domain::{ClientId, Secret, UserId};

/// `userrole` of the shared database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "userrole", rename_all = "snake_case")]
pub enum Role {
    /// Owns a tenant: may change things.
    Owner,
    /// May read.
    Manager,
    /// May change things; without a client, the platform's administrator.
    Admin,
}

/// An active user, as the bearer of a token.
#[derive(Clone, Debug)]
pub struct ActiveUser {
    /// `users.id`.
    pub id: UserId,
    /// The role.
    pub role: Role,
    /// The tenant.
    pub client: Option<ClientId>,
}

/// Why a user may see no jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoJobs {
    /// A manager.
    Role,
    /// An owner of nothing.
    Tenant,
}

impl ActiveUser {
    /// May change things.
    pub fn may_change(&self) -> bool {
        self.role != Role::Manager
    }

    /// The platform's administrator: an admin without a tenant.
    pub fn is_platform(&self) -> bool {
        self.role == Role::Admin && self.client.is_none()
    }

    /// Whose jobs the user may see and touch: owners and admins their tenant's, the platform's administrator everybody's (`None`).
    pub fn jobs(&self) -> std::result::Result<Option<ClientId>, NoJobs> {
        match (self.role, self.client) {
            (Role::Manager, _) => Err(NoJobs::Role),
            (Role::Owner, None) => Err(NoJobs::Tenant),
            (Role::Owner | Role::Admin, client) => Ok(client),
        }
    }
}

/// What a login by password needs.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `users.id`.
    pub id: UserId,
    /// The stored hash, where the user has one.
    pub hashed_password: Option<Secret<String>>,
}

/// A user to be created.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The login name; compared without regard to case.
    pub email: String,
    /// The hash to store.
    pub hashed_password: Secret<String>,
    /// The role.
    pub role: Role,
    /// The tenant; `None` with [`Role::Admin`] makes the platform's administrator.
    pub client: Option<ClientId>,
}

/// The user, if there is one and it is active.
pub async fn find_active(pool: &PgPool, id: UserId) -> Result<Option<ActiveUser>> {
    let row = sqlx::query!(r#"select id, role as "role: Role", client_id from users where id = $1 and is_active"#, id.0)
        .fetch_optional(pool)
        .await?;
    Ok(row.map(|row| ActiveUser { id: UserId(row.id), role: row.role, client: row.client_id.map(ClientId) }))
}

/// The active user with this e-mail address; the oldest, should the old system have made two.
pub async fn find_by_email(pool: &PgPool, email: &str) -> Result<Option<Credentials>> {
    let row = sqlx::query!(
        "select id, hashed_password from users where lower(email) = lower($1) and is_active order by id limit 1",
        email
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Credentials { id: UserId(row.id), hashed_password: row.hashed_password.map(Secret::new) }))
}

/// Creates an active user. `None` when the e-mail address is taken.
pub async fn create(tx: &mut Tx, user: &NewUser) -> Result<Option<UserId>> {
    // The shared table has no unique constraint, and gets none from us.
    sqlx::query!("lock table users in share row exclusive mode").execute(tx.conn()).await?;
    let id = sqlx::query_scalar!(
        r#"insert into users (created_at, client_id, email, role, hashed_password, is_active)
           select now() at time zone 'utc', $1, $2::varchar, $3, $4, true
           where not exists (select from users where lower(email) = lower($2))
           returning id"#,
        user.client.map(|client| client.0),
        user.email,
        user.role as Role,
        user.hashed_password.expose(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(UserId))
}

/// Stores another hash for a user's password, unless it was changed meanwhile. False: it was.
pub async fn replace_password(pool: &PgPool, id: UserId, old: &Secret<String>, new: &Secret<String>) -> Result<bool> {
    let done = sqlx::query!(
        "update users set hashed_password = $3, updated_at = now() at time zone 'utc' where id = $1 and hashed_password = $2",
        id.0,
        old.expose(),
        new.expose()
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores a new hash for a user's password.
pub async fn set_password(pool: &PgPool, id: UserId, new: &Secret<String>) -> Result<()> {
    sqlx::query!(
        "update users set hashed_password = $2, updated_at = now() at time zone 'utc' where id = $1",
        id.0,
        new.expose()
    )
    .execute(pool)
    .await?;
    Ok(())
}
