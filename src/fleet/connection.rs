//! One account of this worker: its connection, for as long as the lease is in force, and its intake into the database.

use super::claim::Claims;
use super::held::Standing;
use super::links::Links;
use chrono::{DateTime, Utc};
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;
use tuberry_domain::account::{Accepts, AccountProblem, AccountTrouble};
use tuberry_domain::intake::{Batch, UpdateState};
use tuberry_domain::ports::{KeyClaims, Lease};
use tuberry_domain::session::StringSession;
use tuberry_domain::{AccountId, ChatId, Place, Proxy, SealError, Sealer, Secret, TelegramUserId};
use tuberry_jobs::context::{proxy_place, session_place};
use tuberry_jobs::meters::{self, Direction};
use tuberry_jobs::{Backoff, Origin, account_ended, intake};
use tuberry_storage::{Error, Store, accounts, connections, leases, peers};
use tuberry_telegram::mtproto::AcceptsNow;
use tuberry_telegram::{AccountLink, Floors, Intake, IntakeError, LinkStart, LinkStatus, Network};

/// Pauses after passing trouble.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(300), cap: Duration::from_secs(30) };

/// What connections need.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub store: Store,
    pub claims: Claims,
    pub links: Links,
    pub network: Arc<Network>,
    pub sealer: Arc<Sealer>,
}

/// One account that this process has claimed.
pub(super) struct Connection {
    pub around: Surroundings,
    pub account: AccountId,
    pub lease: Lease,
    /// When its session was stored: a newer one is served by a connection of its own.
    pub session_from: DateTime<Utc>,
    /// What it accepts now; the supervisor keeps it current.
    pub accepts: Arc<Mutex<Accepts>>,
    pub stop: CancellationToken,
}

/// Why a connection was closed, or not opened.
enum End {
    /// The account is not to be served here any more.
    Over,
    /// The lease is not in force at the moment.
    Suspended,
    Problem(AccountProblem),
    /// Something that passes; with a text for the account's owner where one can do something about it.
    Trouble(String, Option<String>),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Fenced => Self::Over,
            error => Self::Trouble(error.to_string(), None),
        }
    }
}

impl Connection {
    /// Serves the account until told to stop, until the lease is lost, or until the account is out of service. The connection is
    /// closed, and the close seen, when this returns: the time for which Telegram may not have heard of it yet.
    pub async fn run(self) -> Duration {
        let mut lingers_until = Instant::now();
        self.serve_again_and_again(&mut lingers_until).await;
        lingers_until.saturating_duration_since(Instant::now())
    }

    async fn serve_again_and_again(&self, lingers_until: &mut Instant) {
        let mut standing = self.around.claims.standing(&self.lease);
        let mut failures = 0;
        loop {
            let in_force =
                async { standing.wait_for(|standing| *standing != Standing::Suspended).await.map(|standing| *standing) };
            let in_force = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                standing = in_force => standing,
            };
            if !matches!(in_force, Ok(Standing::InForce)) {
                return;
            }
            let began = Instant::now();
            match self.serve(standing.clone(), lingers_until).await {
                End::Over => return,
                End::Suspended => tracing::warn!(account = self.account.0, "lease not renewed in time: connection closed"),
                End::Problem(problem) => return Box::pin(self.take_out_of_service(problem, standing)).await,
                End::Trouble(error, text) => {
                    tracing::warn!(account = self.account.0, %error, "account not served for now");
                    if let Some(text) = text {
                        self.note_trouble(&text).await;
                    }
                }
            }
            failures = if began.elapsed() > BACKOFF.cap { 1 } else { failures + 1 };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(pause(failures)) => {}
            }
        }
    }

    /// One connection, from opening to closing.
    async fn serve(&self, standing: watch::Receiver<Standing>, lingers_until: &mut Instant) -> End {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return End::Over,
            end = suspended(standing.clone()) => return end,
            () = self.around.network.turn() => {}
        }
        // Boxed here and below: what runs now and then must not swell the task of an account that is idle nearly all the time.
        let (start, expected) = match Box::pin(self.load()).await {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return End::Over,
            Err(end) => return end,
        };
        let shown = Notify::new();
        if expected.is_none() {
            shown.notify_one();
        }
        let (link, mut intake) = AccountLink::open(self.around.network.clone(), start);
        self.around.links.add(self.account, link.calls(), self.lease.clone());
        let end = tokio::select! {
            biased;
            () = self.stop.cancelled() => End::Over,
            end = suspended(standing) => end,
            end = async { shown.notified().await; self.follow(link.status()).await } => end,
            end = self.tell_trouble(link.trouble()) => end,
            end = self.take_in(&mut intake, expected, &shown) => end,
        };
        self.around.links.remove(self.account);
        *lingers_until = link.close().await.max(*lingers_until);
        end
    }

    /// Reads what the connection begins with, and who the account is where its session, from an old system or from elsewhere, has yet to show that.
    /// `None`: the account is not to be served any more.
    async fn load(&self) -> Result<Option<(LinkStart, Option<TelegramUserId>)>, End> {
        let around = &self.around;
        let Some(beginning) = connections::beginning(&around.store, self.account).await? else { return Ok(None) };
        let place = self.account.to_string();
        let opened = around.sealer.open(session_place(&place), &beginning.sealed);
        let session = match opened {
            Ok(plain) => {
                let session = std::str::from_utf8(plain.expose()).ok().and_then(|text| StringSession::decode(text).ok());
                self.seal_anew(session_place(&place), &beginning.sealed, &plain).await?;
                session
            }
            // Another secret may be configured by mistake: the session must survive that.
            Err(SealError::UnknownKey) => {
                return Err(End::Trouble(SealError::UnknownKey.to_string(), Some(AccountProblem::Unreadable.text().into())));
            }
            Err(SealError::Damaged) => None,
        };
        let Some(session) = session else { return Err(End::Problem(AccountProblem::Unreadable)) };
        let state = self.stored_state().await?;
        let mut floors = Floors::default();
        let last = if state == UpdateState::default() {
            floors.since = beginning.last_connected.and_then(|time| time.timestamp().try_into().ok());
            connections::last_messages(&around.store, self.account).await?
        } else if state.channels.is_empty() {
            Vec::new()
        } else {
            let followed: Vec<ChatId> = state.channels.iter().map(|&(channel, _)| ChatId::channel(channel)).collect();
            connections::last_messages_in(&around.store, self.account, &followed).await?
        };
        floors.last = last.into_iter().collect();
        let (claims, lease, accepts) = (around.claims.clone(), self.lease.clone(), self.accepts.clone());
        let accepts: AcceptsNow = Arc::new(move || *accepts.lock().unwrap_or_else(PoisonError::into_inner));
        let (self_id, expected) = if beginning.shown { (beginning.self_id, None) } else { (None, beginning.self_id) };
        let start = LinkStart {
            session,
            proxy: self.open_proxy(beginning.proxy.as_deref()).await?,
            self_id,
            state,
            floors,
            strangers: beginning.strangers,
            peers: peers::load(&around.store, self.account).await?,
            last_message: beginning.last_message,
            accepts,
            gate: Arc::new(move || claims.holds(&lease)),
        };
        Ok(Some((start, expected)))
    }

    /// What was sealed under a former key is sealed under the present one as soon as it is used.
    async fn seal_anew(&self, place: Place<'_>, sealed: &str, plain: &Secret<Vec<u8>>) -> Result<(), Error> {
        let around = &self.around;
        if around.sealer.is_outdated(sealed) {
            connections::reseal(&around.store, self.account, sealed, &around.sealer.seal(place, plain.expose())).await?;
        }
        Ok(())
    }

    /// An account with a proxy of its own never connects without it.
    async fn open_proxy(&self, sealed: Option<&str>) -> Result<Option<Proxy>, End> {
        let Some(sealed) = sealed else { return Ok(None) };
        let account = self.account.to_string();
        let plain = self.around.sealer.open(proxy_place(&account), sealed).ok();
        if let Some(plain) = &plain {
            self.seal_anew(proxy_place(&account), sealed, plain).await?;
        }
        let proxy = plain.and_then(|plain| Proxy::parse(std::str::from_utf8(plain.expose()).ok()?).ok());
        let unreadable = || End::Trouble("the proxy does not open".into(), Some(AccountTrouble::ProxyUnreadable.text()));
        proxy.map(Some).ok_or_else(unreadable)
    }

    async fn stored_state(&self) -> Result<UpdateState, Error> {
        Ok(accounts::update_state(self.around.store.pool(), self.account).await?.unwrap_or_default())
    }

    /// Tells the links whether the connection is up.
    async fn follow(&self, mut status: watch::Receiver<LinkStatus>) -> End {
        loop {
            let now = *status.borrow_and_update();
            self.around.links.set_up(self.account, now == LinkStatus::Up);
            if let LinkStatus::Ended(problem) = now {
                return End::Problem(problem);
            }
            if status.changed().await.is_err() {
                return pending().await;
            }
        }
    }

    /// Lets the account's owner read what keeps it from full service.
    async fn tell_trouble(&self, mut trouble: watch::Receiver<Option<AccountTrouble>>) -> End {
        loop {
            let now = *trouble.borrow_and_update();
            if let Some(now) = now {
                tracing::warn!(account = self.account.0, trouble = ?now, "account not in full service");
                Box::pin(self.note_trouble(&now.text())).await;
            }
            if trouble.changed().await.is_err() {
                return pending().await;
            }
        }
    }

    async fn note_trouble(&self, text: &str) {
        self.around.links.trouble_noted(self.account);
        if let Err(error) = accounts::mark_trouble(self.around.store.pool(), self.account, text).await {
            tracing::debug!(account = self.account.0, %error, "trouble not noted");
        }
    }

    /// Takes batch after batch; each is one transaction. Says when the account has `shown` to be the `expected` one.
    async fn take_in(&self, intake: &mut Intake, expected: Option<TelegramUserId>, shown: &Notify) -> End {
        let mut failures = 0;
        loop {
            let batch = match intake.next_batch().await {
                Ok(batch) => batch,
                Err(IntakeError::Ended(problem)) => return End::Problem(problem),
                Err(IntakeError::Closed) => return End::Trouble("the connection ended by itself".into(), None),
            };
            if let (Some(expected), Some(owner)) = (expected, &batch.owner) {
                if owner.id != expected {
                    return End::Problem(AccountProblem::Stranger);
                }
                shown.notify_one();
            }
            match Box::pin(self.store(&batch)).await {
                Ok(()) => {
                    failures = 0;
                    intake.committed();
                }
                Err(Error::Fenced) => return End::Over,
                Err(error) => {
                    failures += 1;
                    tracing::warn!(account = self.account.0, %error, failures, "batch not stored, will come again");
                    let text = match &error {
                        Error::Early(_) => Some("У проекта нет управляющего бота: сообщения ждут в Telegram"),
                        Error::Unreadable(_) => Some("Сообщения не удаётся сохранить: обратитесь к администратору"),
                        _ => None,
                    };
                    if let Some(text) = text {
                        Box::pin(self.note_trouble(text)).await;
                    }
                    intake.reload(Box::pin(self.state_again(&mut failures)).await);
                }
            }
        }
    }

    /// Waits, then reads the state that is stored, for as long as it takes.
    async fn state_again(&self, failures: &mut u32) -> UpdateState {
        loop {
            tokio::time::sleep(pause(*failures)).await;
            match self.stored_state().await {
                Ok(state) => return state,
                Err(error) => tracing::debug!(account = self.account.0, %error, "state not read"),
            }
            *failures += 1;
        }
    }

    /// A batch with messages is one trace: what customers wrote in it is followed to the topics.
    async fn store(&self, batch: &Batch) -> Result<(), Error> {
        if batch.messages.iter().all(|message| message.out) {
            return self.store_batch(batch).await;
        }
        let origin = Origin::fresh();
        let span = tracing::info_span!(
            parent: None, "intake", account = self.account.0, trace_id = origin.trace_id(), otel.name = Empty, otel.status_code = Empty
        );
        let origin = origin.begin(&span, "intake");
        let stored = origin.scope(self.store_batch(batch)).instrument(span.clone()).await;
        if stored.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        stored
    }

    async fn store_batch(&self, batch: &Batch) -> Result<(), Error> {
        let mut tx = self.around.store.begin().await?;
        leases::check(&mut tx, &self.lease).await?;
        let fresh = intake::store(&mut tx, self.account, batch).await?;
        tx.commit().await?;
        meters::accepted(Direction::In, fresh);
        Ok(())
    }

    /// Writes down why the account is out of service, for as long as it takes: nobody may connect once more in the meantime.
    async fn take_out_of_service(&self, problem: AccountProblem, mut standing: watch::Receiver<Standing>) {
        let mut failures = 0;
        loop {
            match self.store_problem(problem).await {
                Ok(()) | Err(Error::Fenced) => return,
                Err(error) => tracing::warn!(account = self.account.0, %error, "cannot store the account's problem yet"),
            }
            failures += 1;
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = standing.wait_for(|standing| *standing == Standing::Lost) => return,
                () = tokio::time::sleep(pause(failures)) => {}
            }
        }
    }

    async fn store_problem(&self, problem: AccountProblem) -> Result<(), Error> {
        let mut tx = self.around.store.begin().await?;
        leases::check(&mut tx, &self.lease).await?;
        account_ended(&mut tx, self.account, self.session_from, problem).await?;
        tx.commit().await
    }
}

async fn suspended(mut standing: watch::Receiver<Standing>) -> End {
    match standing.wait_for(|standing| *standing != Standing::InForce).await.map(|standing| *standing) {
        Ok(Standing::Suspended) => End::Suspended,
        _ => End::Over,
    }
}

fn pause(failures: u32) -> Duration {
    let mut dice = [0; 4];
    // Without randomness the pauses are merely not spread.
    let _ = getrandom::fill(&mut dice);
    BACKOFF.ceiling(failures) / 2 + BACKOFF.delay(failures, u32::from_le_bytes(dice)) / 2
}
