//! The steps against a real redis-server.

use super::*;
use crate::lifeline::{self, Tied};
use nix::sys::signal::Signal;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct Server {
    process: Tied,
    client: Client,
    _folder: TempDir,
}

impl Server {
    /// On a Unix socket: no port is needed.
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("redis");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--dir"]).arg(folder.path()).arg("--unixsocket").arg(&socket);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let process = lifeline::spawn(command, Signal::SIGKILL).await.unwrap();
        let client = Client::open(format!("redis+unix://{}", socket.display())).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while connect(&client).await.is_err() {
            assert!(Instant::now() < deadline, "Redis does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { process, client, _folder: folder }
    }

    async fn session(&self, worker: &str) -> Lists {
        Lists::open(&self.client, worker).await.unwrap()
    }

    async fn push(&self, elements: &[&str]) {
        self.ask::<u64>(redis::cmd("RPUSH").arg(TASKS).arg(elements)).await;
    }

    async fn list(&self, key: &str) -> Vec<String> {
        self.ask(redis::cmd("LRANGE").arg(key).arg(0).arg(-1)).await
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut connect(&self.client).await.unwrap()).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.signal(Signal::SIGKILL);
    }
}

fn texts(elements: &[Element]) -> Vec<&str> {
    elements.iter().map(|element| std::str::from_utf8(&element.bytes).unwrap()).collect()
}

#[tokio::test]
async fn what_a_session_had_taken_comes_first_in_the_next_one_and_the_former_does_nothing_more() {
    let server = Server::start().await;
    server.push(&["1", "2", "3"]).await;
    let (mut former, mut next) = (server.session("one").await, server.session("two").await);
    assert!(matches!(former.take().await, Err(StepError::NotHolder)), "nobody has taken over yet");
    assert_eq!(former.take_over().await.unwrap(), 0);
    assert_eq!(texts(&former.take().await.unwrap()), ["1", "2", "3"]);
    server.push(&["4"]).await;

    assert_eq!(next.take_over().await.unwrap(), 3);
    assert!(matches!(former.take().await, Err(StepError::NotHolder)));
    assert!(matches!(former.finish(3, &["letter".into()]).await, Err(StepError::NotHolder)));
    assert_eq!(server.list(TASKS).await, ["1", "2", "3", "4"]);

    assert_eq!(texts(&next.take().await.unwrap()), ["1", "2", "3", "4"]);
    next.finish(3, &["letter".into()]).await.unwrap();
    assert_eq!(server.list(DEAD).await, ["letter"]);
    // The same process in a new session, and a former one that writes its token late.
    let mut again = server.session("two").await;
    assert_eq!(again.take_over().await.unwrap(), 1);
    assert_eq!(former.take_over().await.unwrap(), 0);
    assert!(matches!(again.take().await, Err(StepError::NotHolder)));
    assert_eq!(texts(&former.take().await.unwrap()), ["4"]);
    assert_eq!(again.take_over().await.unwrap(), 1, "in the end whoever holds the lease has everything");
    assert_eq!(texts(&again.take().await.unwrap()), ["4"]);
}

#[tokio::test]
async fn batches_are_bounded_and_large_elements_are_cut() {
    let server = Server::start().await;
    let many: Vec<String> = (0..BATCH + 1).map(|number| number.to_string()).collect();
    server.push(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    server.push(&[&"x".repeat(LARGEST + 1)]).await;
    let mut lists = server.session("one").await;
    lists.take_over().await.unwrap();
    assert_eq!(lists.take().await.unwrap().len(), BATCH);
    lists.finish(BATCH, &[]).await.unwrap();
    let rest = lists.take().await.unwrap();
    assert_eq!((rest.len(), rest[1].length, rest[1].bytes.len()), (2, LARGEST + 1, REST));
    assert!(rest[1].too_large() && !rest[0].too_large());
    server.push(&["y".repeat(LARGEST).as_str(); 3]).await;
    assert_eq!(lists.take().await.unwrap().len(), 2, "no third megabyte");
}

#[tokio::test]
async fn a_frozen_redis_is_given_up_and_what_it_was_asked_comes_to_nothing() {
    let server = Server::start().await;
    let mut frozen = server.session("one").await;
    frozen.take_over().await.unwrap();
    server.push(&["1", "2"]).await;
    server.process.signal(Signal::SIGSTOP);
    assert!(matches!(frozen.take().await, Err(StepError::Link(_))));
    assert!(Lists::open(&server.client, "two").await.is_err());
    server.process.signal(Signal::SIGCONT);
    // The take may have been carried out by now, and it may be still to come: in either case it is in nobody's way.
    let mut next = server.session("one").await;
    next.take_over().await.unwrap();
    assert_eq!(texts(&next.take().await.unwrap()), ["1", "2"]);
}
