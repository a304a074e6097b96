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
    /// Where it speaks TLS.
    tls_port: Option<u16>,
}

impl RedisServer {
    /// A server that does not run yet.
    pub fn absent() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder below target/tmp");
        Self { port: free_port(), folder, process: None, tls_port: None }
    }

    /// A running server.
    pub async fn start() -> Self {
        let mut server = Self::absent();
        server.go().await;
        server
    }

    /// A running server that speaks TLS, too, with a certificate that nobody signed.
    pub async fn with_tls() -> Self {
        let mut server = Self { tls_port: Some(free_port()), ..Self::absent() };
        let (key, certificate) = (server.path("key.pem"), server.certificate());
        let arguments = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=redis",
        ];
        let names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
        let files = ["-keyout", &key, "-out", &certificate];
        let made = Process::start("openssl", &[&arguments[..], &names, &files].concat(), &[]).await;
        assert!(made.wait().await.success(), "{}", made.output());
        server.go().await;
        server
    }

    /// The certificate of one that speaks TLS: a file in PEM.
    pub fn certificate(&self) -> String {
        self.path("certificate.pem")
    }

    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}/0", self.tls_port.expect("one that speaks TLS"))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn client(&self) -> Client {
        Client::open(self.url()).expect("a URL that can be read")
    }

    /// Starts it, with what it had stored.
    pub async fn go(&mut self) {
        let (port, folder) = (self.port.to_string(), self.path(""));
        let mut arguments = vec![
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
        let tls = self.tls_port.map(|port| (port.to_string(), self.certificate(), self.path("key.pem")));
        if let Some((port, certificate, key)) = &tls {
            arguments.extend([
                "--tls-port",
                port,
                "--tls-auth-clients",
                "no",
                "--tls-cert-file",
                certificate,
                "--tls-key-file",
                key,
            ]);
            arguments.extend(["--tls-ca-cert-file", certificate]);
        }
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
