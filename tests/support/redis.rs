//! A real redis-server of one test: on loopback, with its folder below `target/tmp`; it may be stopped, frozen and started again.

use super::{Process, free_port, wait_until};
use nix::sys::signal::Signal;
use redis::{Client, FromRedisValue};
use std::time::Duration;
use tempfile::TempDir;

/// The server; it ends when dropped.
pub struct RedisServer {
    port: u16,
    folder: TempDir,
    process: Option<Process>,
}

impl RedisServer {
    /// A server that does not run yet.
    pub fn absent() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder below target/tmp");
        Self { port: free_port(), folder, process: None }
    }

    /// A running server.
    pub async fn start() -> Self {
        let mut server = Self::absent();
        server.go().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn client(&self) -> Client {
        Client::open(self.url()).expect("a URL that can be read")
    }

    /// Starts it, with what it had stored.
    pub async fn go(&mut self) {
        let (port, folder) = (self.port.to_string(), self.folder.path().to_str().expect("a path in UTF-8").to_owned());
        let arguments = [
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--dir",
            &folder,
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ];
        self.process = Some(Process::start("redis-server", &arguments, &[]).await);
        wait_until(Duration::from_secs(30), "a Redis that answers", async || {
            self.try_ask::<String>(&["PING"]).await.ok().filter(|answer| answer == "PONG")
        })
        .await;
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("a running Redis").signal(signal);
    }

    /// A command that succeeds.
    pub async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_ask(command).await.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    async fn try_ask<T: FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        let mut connection = self.client().get_multiplexed_async_connection().await?;
        redis::cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await
    }
}
