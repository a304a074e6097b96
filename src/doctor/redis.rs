//! Redis, where an existing Tuberry's tasks wait. Three questions need no library.

use super::{Finding, Patient, in_time};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tuberry_domain::Secret;

const CHECK: &str = "redis";
/// The lists of tasks that wait, and of those that nobody could read.
const TASKS: &str = "tuberry:personal:tasks";
const DEAD: &str = "tuberry:personal:dead";

pub(super) async fn look(patient: &Patient) -> Vec<Finding> {
    let Some(url) = &patient.redis_url else {
        return vec![Finding::fine(CHECK, "not configured, not needed")];
    };
    let finding = match in_time(ask(url)).await {
        Ok(Answer { dead: 0, waiting }) => Finding::fine(CHECK, format!("answers; {waiting} tasks wait")),
        Ok(Answer { dead, waiting }) => Finding::note(
            CHECK,
            format!("answers; {waiting} tasks wait, {dead} could not be read"),
            format!("look at them: LRANGE {DEAD} 0 -1"),
        ),
        Err(error) => Finding::wrong(CHECK, format!("REDIS_URL: {error}"), "start Redis, or correct the variable"),
    };
    vec![finding]
}

struct Answer {
    waiting: i64,
    dead: i64,
}

async fn ask(url: &Secret<String>) -> io::Result<Answer> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let url: reqwest::Url =
        url.expose().parse().map_err(|_| invalid("expected redis://[[user]:password@]host[:port][/number]"))?;
    if url.scheme() != "redis" {
        return Err(invalid("only redis:// can be looked at"));
    }
    let host = url.host_str().unwrap_or("127.0.0.1").trim_matches(['[', ']']).to_owned();
    let stream = TcpStream::connect((host, url.port().unwrap_or(6379))).await?;
    let mut connection = Connection(BufReader::new(stream));
    if let Some(password) = url.password() {
        let password = Secret::new(decoded(password));
        match url.username() {
            "" => connection.call(&["AUTH", password.expose()]).await?,
            user => connection.call(&["AUTH", &decoded(user), password.expose()]).await?,
        };
    }
    let number = url.path().trim_matches('/');
    if !number.is_empty() {
        connection.call(&["SELECT", number]).await?;
    }
    Ok(Answer { waiting: connection.length(TASKS).await?, dead: connection.length(DEAD).await? })
}

/// RESP, as far as single lines go.
struct Connection(BufReader<TcpStream>);

impl Connection {
    /// The answer's first line, without its mark.
    async fn call(&mut self, words: &[&str]) -> io::Result<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.write_all(Secret::new(request).expose().as_bytes()).await?;
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        match line.trim_end().split_at_checked(1) {
            Some(("+" | ":", answer)) => Ok(answer.to_owned()),
            Some(("-", error)) => Err(io::Error::other(error.to_owned())),
            _ => Err(io::Error::other("it does not speak Redis' protocol")),
        }
    }

    async fn length(&mut self, list: &str) -> io::Result<i64> {
        self.call(&["LLEN", list]).await?.parse().map_err(io::Error::other)
    }
}

/// Takes `%40` and the like out.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = behind
            .first_chunk::<2>()
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_passwords_are_decoded() {
        assert_eq!(decoded("a%40b%2f%C3%A9%"), "a@b/é%");
    }
}
