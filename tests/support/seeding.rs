//! Accounts that are connected without a login: people of the simulator who are signed in already, and the rows that a login leaves behind.

use super::stack::{APP_SECRET, Person, Stack};
use std::collections::BTreeMap;
use telegram_simulator::world::users::NewUser;
use telegram_simulator::world::{now, random};
use tuberry_domain::intake::{SelfUser, UpdateState};
use tuberry_domain::session::StringSession;
use tuberry_domain::{ProjectId, Sealer, Secret, TelegramUserId};
use tuberry_jobs::context::session_place;
use tuberry_storage::{accounts, workers};

impl Stack {
    /// Makes `count` accounts of the tenant, all in one transaction, and tells the workers. Returns people and account ids; whether they are
    /// served yet is another question ([`Stack::wait_all_served`]).
    pub async fn seed_accounts(&self, count: usize) -> Vec<(Person, i64)> {
        let sealer = Sealer::new(&Secret::new(APP_SECRET.to_owned()), &[]);
        let project = ProjectId(self.tenant.project.try_into().expect("a project's id"));
        let mut seeded = Vec::with_capacity(count);
        let mut tx = self.store().begin().await.expect("a transaction");
        for number in 0..count {
            let name = format!("Сотрудник {number}");
            let (person, session, state) = self.signed_in(&name);
            let user = SelfUser { id: TelegramUserId(person.0), name, username: None, phone: None };
            let (account, _) =
                accounts::upsert_authorised(&mut tx, self.tenant.client, project, &user).await.expect("an account");
            let (text, id) = (session.encode(), account.to_string());
            let sealed = sealer.seal(session_place(&id), text.expose().as_bytes());
            accounts::store_session(&mut tx, account, &sealed, None, true).await.expect("a session");
            accounts::save_update_state(&mut tx, account, &state).await.expect("a state");
            seeded.push((person, i64::from(account.0)));
        }
        tx.commit().await.expect("a commit");
        workers::announce(self.store().pool(), "seeded").await;
        seeded
    }

    /// A new person of the simulator with an authorization key that is signed in.
    pub fn signed_in(&self, name: &str) -> (Person, StringSession, UpdateState) {
        let shared = self.simulator.shared();
        let mut world = shared.lock();
        let id = world.add_user(NewUser { first_name: name.into(), ..NewUser::default() }).expect("room for a person");
        let (dc, pts) = world.user(id).map(|user| (user.home_dc, user.mailbox.pts)).expect("the new person");
        let key = random();
        let key_id = world.add_key(dc, key).expect("room for a key");
        world.sign_in(key_id, id);
        let session = StringSession {
            dc: dc.try_into().expect("a small number"),
            address: world.live.dcs[&dc],
            auth_key: Secret::new(key),
        };
        let date = now().try_into().expect("a date before 2038");
        (Person(id), session, UpdateState { pts, qts: 0, date, seq: 1, channels: Vec::new() })
    }

    /// Waits until workers have the connections of all these accounts up.
    pub async fn wait_all_served(&self, count: usize, patience: std::time::Duration) {
        super::wait_until(patience, &format!("{count} accounts that are served"), async || {
            let up = sqlx::query_scalar::<_, i64>(
                "select count(*) from personal_telegram_accounts where status = 'active' and last_connected_at is not null",
            );
            (up.fetch_one(self.store().pool()).await.ok()? >= count as i64).then_some(())
        })
        .await;
    }

    /// How many accounts each owner has; those given back count for nobody.
    pub async fn shares(&self) -> BTreeMap<String, i64> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select owner, count(*) from personal_telegram_leases where class = 7101 and owner is not null group by owner",
        )
        .fetch_all(self.store().pool())
        .await
        .unwrap_or_default();
        rows.into_iter().collect()
    }
}
