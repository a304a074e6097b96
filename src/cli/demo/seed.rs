//! The demo's seed: a client with its owner, a project with its bot and working group, and the platform's administrator. Made once
//! per data directory and kept in `demo.json`, with the demo's own secrets.

use super::telegram::Simulated;
use crate::{passwords, random};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tuberry_domain::{ChatId, ClientId, Secret, UserId};
use tuberry_storage::bots::{self, NewBot};
use tuberry_storage::users::{self, NewUser, Role};
use tuberry_storage::{Store, Tx, clients, projects};

/// Who signs in to the portal.
pub(super) const OWNER: &str = "owner@demo.tuberry";
pub(super) const ADMINISTRATOR: &str = "admin@demo.tuberry";

/// What `demo.json` holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Seed {
    pub(super) app_secret: String,
    pub(super) jwt_secret: String,
    pub(super) password: String,
    pub(super) owner_id: i32,
    pub(super) admin_id: i32,
    pub(super) client_id: i32,
    pub(super) project_id: i32,
    pub(super) bot_id: i32,
    pub(super) bot_token: String,
    pub(super) webhook_secret: String,
    pub(super) forum_chat_id: i64,
    /// The member of the working group who answers.
    pub(super) operator_id: i64,
    /// The employee whose account is connected, and the customers who chat; absent before the first traffic.
    #[serde(default)]
    pub(super) chatters: Option<Chatters>,
}

/// People of the simulated Telegram.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chatters {
    pub(super) employee: i64,
    pub(super) customers: Vec<i64>,
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").field("client_id", &self.client_id).field("project_id", &self.project_id).finish_non_exhaustive()
    }
}

impl Seed {
    /// What an earlier run made.
    pub(super) fn load(data_dir: &Path) -> Result<Option<Self>> {
        let path = data_dir.join("demo.json");
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).with_context(|| format!("{}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{}", path.display())),
        }
    }

    /// Makes everything, in Telegram and in the database, and writes it down last.
    pub(super) async fn create(data_dir: &Path, store: &Store, telegram: &Simulated) -> Result<Self> {
        let operator_id = telegram.person("Ольга", "Операторова").await?;
        // Whom a visitor may connect by hand.
        telegram.person("Борис", "Новиков").await?;
        let bot_token = telegram.bot("tuberry_demo_bot").await?;
        let forum_chat_id = telegram.forum("Рабочая группа", &bot_token, &[operator_id]).await?;
        let (password, webhook_secret) = (random::token(12), random::token(24));

        let mut tx = store.begin().await?;
        let client = clients::create(&mut tx, "Демо").await?;
        let owner = user(&mut tx, OWNER, &password, Role::Owner, Some(client)).await?;
        let admin = user(&mut tx, ADMINISTRATOR, &password, Role::Admin, None).await?;
        let project = projects::create(&mut tx, client, "Демо-проект", None).await?;
        let bot = NewBot {
            client,
            token: Secret::new(bot_token.clone()),
            username: "tuberry_demo_bot".to_owned(),
            group: Some(ChatId(forum_chat_id)),
            webhook_secret: Secret::new(webhook_secret.clone()),
        };
        let bot = bots::create(&mut tx, &bot).await?.context("the bot exists already")?;
        ensure!(projects::bind_bot(&mut tx, project, bot).await?, "the bot serves another project");
        tx.commit().await?;

        let seed = Self {
            app_secret: random::token(32),
            jwt_secret: random::token(32),
            password,
            owner_id: owner.0,
            admin_id: admin.0,
            client_id: client.0,
            project_id: project.0,
            bot_id: bot.0,
            bot_token,
            webhook_secret,
            forum_chat_id,
            operator_id,
            chatters: None,
        };
        seed.store(data_dir)?;
        Ok(seed)
    }

    /// Writes `demo.json`, whole or not at all.
    pub(super) fn store(&self, data_dir: &Path) -> Result<()> {
        let (path, new) = (data_dir.join("demo.json"), data_dir.join("demo.json.new"));
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(new, path)?;
        Ok(())
    }
}

async fn user(tx: &mut Tx, email: &str, password: &str, role: Role, client: Option<ClientId>) -> Result<UserId> {
    let hashed_password = Secret::new(passwords::hash(&Secret::new(password.to_owned())));
    let user = NewUser { email: email.to_owned(), hashed_password, role, client };
    users::create(tx, &user).await?.with_context(|| format!("{email} exists already"))
}
