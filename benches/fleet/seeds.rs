//! Accounts that are logged in already: what a thousand scanned QR codes would leave behind, made in a second.

use crate::support::stack::{APP_SECRET, Person, Stack};
use telegram_simulator::world::random;
use telegram_simulator::world::users::NewUser;
use tuberry_domain::intake::{SelfUser, UpdateState};
use tuberry_domain::session::StringSession;
use tuberry_domain::{ClientId, ProjectId, Sealer, Secret, TelegramUserId};
use tuberry_jobs::context::session_place;
use tuberry_storage::{accounts, workers};

/// The data centre of all accounts.
const DC: u8 = 4;

/// People of the simulator with a session each that nobody uses yet.
pub fn sessions(stack: &Stack, count: usize) -> Vec<(Person, StringSession)> {
    let address = stack.simulator.dcs()[&i32::from(DC)];
    let shared = stack.simulator.shared();
    let mut world = shared.lock();
    let session = |number: usize| {
        let first_name = format!("Сотрудник {number}");
        let user = world.add_user(NewUser { first_name, ..NewUser::default() }).expect("a user");
        let bytes = random::<256>();
        let key = world.add_key(DC.into(), bytes).expect("a key");
        world.sign_in(key, user);
        (Person(user), StringSession { dc: DC, address, auth_key: Secret::new(bytes) })
    };
    (0..count).map(session).collect()
}

/// A customer for each of `count` accounts, by Telegram id.
pub fn customers(stack: &Stack, count: usize) -> Vec<i64> {
    let shared = stack.simulator.shared();
    let mut world = shared.lock();
    let mut add = |number| world.add_user(NewUser { first_name: format!("Клиент {number}"), ..NewUser::default() });
    (0..count).map(|number| add(number).expect("a user")).collect()
}

/// Adds `count` accounts to the tenant's project, as completed logins would, and tells the workers. Returns whose they are.
pub async fn accounts(stack: &Stack, count: usize) -> Vec<Person> {
    let store = stack.store();
    let project = ProjectId(stack.tenant.project.try_into().expect("a project's id"));
    let client: i32 = sqlx::query_scalar("select client_id from projects where id = $1")
        .bind(project.0)
        .fetch_one(store.pool())
        .await
        .expect("the tenant's project");
    let sealer = Sealer::new(&Secret::new(APP_SECRET.to_owned()), &[]);
    let date = chrono::Utc::now().timestamp().try_into().expect("a date of this century's first half");
    let mut people = Vec::new();
    let mut tx = store.begin().await.expect("a transaction");
    for (person, session) in sessions(stack, count) {
        let user = SelfUser { id: TelegramUserId(person.0), name: "Сотрудник".into(), username: None, phone: None };
        let (account, _) = accounts::upsert_authorised(&mut tx, ClientId(client), project, &user).await.expect("an account");
        let sealed = sealer.seal(session_place(&account.to_string()), session.encode().expose().as_bytes());
        accounts::store_session(&mut tx, account, &sealed, None).await.expect("a session");
        let state = UpdateState { pts: 1, qts: 0, date, seq: 1, channels: Vec::new() };
        accounts::save_update_state(&mut tx, account, &state).await.expect("a state");
        people.push(person);
    }
    tx.commit().await.expect("a commit");
    workers::announce(store.pool(), "accounts of the bench").await;
    people
}
