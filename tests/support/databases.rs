//! A fresh database per test: a copy of a migrated template, in the one cluster of this run, which starts with the first test that
//! needs it.

use super::clusters::{self, Folder};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{mpsc, oneshot};
use tuberry::embedded::Tuning;
use tuberry_storage::Store;

const TEMPLATE: &str = "template_tuberry";

/// A database of one test, dropped with this value.
pub struct Database {
    name: String,
    /// For our processes, over the Unix socket.
    pub url: String,
    pub store: Store,
}

enum Order {
    /// Makes a database and answers with its URL.
    Create {
        name: String,
        template: Option<&'static str>,
        answer: oneshot::Sender<Result<String, String>>,
    },
    Drop {
        name: String,
    },
}

/// The cluster lives on a thread of its own: tests come and go with their runtimes.
static CLUSTER: LazyLock<mpsc::UnboundedSender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(serve(inbox));
    });
    orders
});

/// A database with all migrations.
pub async fn database() -> Database {
    create(Some(TEMPLATE)).await
}

/// A database without any table.
pub async fn empty_database() -> Database {
    create(None).await
}

/// Applies all migrations.
pub async fn migrate(url: &str) -> Result<(), String> {
    let pool = sqlx::PgPool::connect(url).await.map_err(|error| error.to_string())?;
    let migrated = tuberry_jobs::queue::migrate(&pool).await.map_err(|error| error.to_string());
    pool.close().await;
    migrated.map(drop)
}

/// The queue's code alone keeps a key from having two heads; in tests the database would refuse the second one.
pub async fn refuse_second_heads(url: &str) -> Result<(), String> {
    let pool = sqlx::PgPool::connect(url).await.map_err(|error| error.to_string())?;
    let made = sqlx::raw_sql(
        "create unique index one_head_per_key on apalis.jobs (ordering_key)
          where ordering_key is not null and gate <> 1 and status in ('Pending', 'Running')",
    )
    .execute(&pool)
    .await
    .map_err(|error| error.to_string());
    pool.close().await;
    made.map(drop)
}

async fn create(template: Option<&'static str>) -> Database {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let (answer, created) = oneshot::channel();
    assert!(CLUSTER.send(Order::Create { name: name.clone(), template, answer }).is_ok(), "the cluster's thread has ended");
    let url = created.await.expect("an answer of the cluster's thread").expect("a database");
    let store = Store::open(&url, 10).expect("a URL that can be read");
    Database { name, url, store }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = CLUSTER.send(Order::Drop { name: std::mem::take(&mut self.name) });
    }
}

async fn serve(mut inbox: mpsc::UnboundedReceiver<Order>) {
    let folder = Folder::new();
    let cluster = async {
        let cluster = clusters::start(folder.path(), Tuning::Throwaway).await.map_err(|error| error.to_string())?;
        cluster.create_database(TEMPLATE, None).await.map_err(|error| error.to_string())?;
        migrate(&cluster.socket_url(TEMPLATE)).await?;
        refuse_second_heads(&cluster.socket_url(TEMPLATE)).await?;
        Ok::<_, String>(cluster)
    }
    .await;
    while let Some(order) = inbox.recv().await {
        match (order, &cluster) {
            (Order::Create { answer, .. }, Err(error)) => drop(answer.send(Err(error.clone()))),
            (Order::Create { name, template, answer }, Ok(cluster)) => {
                let created = cluster.create_database(&name, template).await;
                let _ = answer.send(created.map(|()| cluster.socket_url(&name)).map_err(|error| error.to_string()));
            }
            (Order::Drop { name }, Ok(cluster)) => {
                if let Err(error) = cluster.drop_database(&name).await {
                    eprintln!("{name} stays: {error}");
                }
            }
            (Order::Drop { .. }, Err(_)) => {}
        }
    }
}
