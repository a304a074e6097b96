//! Where a chain of work began: the request, update or tick, carried through every job that it causes.
//!
//! A request's id and its trace context (W3C Trace Context, `traceparent`) live in a task-local, are written into the metadata of the jobs that
//! are enqueued meanwhile, and are there again when those run.

use std::fmt::Write;

tokio::task_local! {
    static CURRENT: Origin;
}

/// The beginning of a chain of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id that the request was answered with (`x-request-id`), or one made up for what no request caused.
    pub request_id: String,
    /// `00-<trace id>-<span id>-<flags>`, the span being the one that caused what happens now.
    pub traceparent: String,
}

impl Origin {
    /// An origin for a request. An absent or malformed `traceparent` begins a new trace.
    pub fn of_request(request_id: &str, traceparent: Option<&str>) -> Self {
        let traceparent = traceparent
            .filter(|text| is_traceparent(text))
            .map_or_else(|| format!("00-{}", random_hex(16)), |known| known[..35].to_owned());
        Self { request_id: request_id.to_owned(), traceparent: format!("{traceparent}-{}-01", random_hex(8)) }
    }

    /// An origin for what no request caused.
    pub fn fresh() -> Self {
        Self::of_request(&ulid::Ulid::new().to_string(), None)
    }

    /// The origin of what runs now, if it has one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Runs `work` with this origin.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The trace's id, 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }

    /// As the job's row keeps it: names and values in turn.
    pub(crate) fn to_metadata(&self) -> Vec<String> {
        ["request_id", &self.request_id, "traceparent", &self.traceparent].map(str::to_owned).into()
    }

    /// Reads [`Origin::to_metadata`]; what runs now is a span of its own.
    pub(crate) fn from_metadata(metadata: &[String]) -> Option<Self> {
        let value = |name: &str| metadata.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
        Some(Self::of_request(value("request_id")?, value("traceparent")))
    }
}

fn is_traceparent(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [2, 32, 16, 2]
        && parts.iter().all(|part| digits(part))
        && parts[0] == "00"
        && parts[1].bytes().any(|byte| byte != b'0')
}

fn random_hex(bytes: usize) -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random[..bytes]).expect("the system has randomness");
    random[..bytes].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_through_jobs_in_spans_of_their_own() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = Origin::of_request("request-1", Some(parent));
        assert_eq!(request.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        let job = Origin::from_metadata(&request.to_metadata()).unwrap();
        assert_eq!((job.request_id.as_str(), job.trace_id()), ("request-1", request.trace_id()));
        assert!(job.traceparent != request.traceparent && is_traceparent(&job.traceparent));
    }

    #[test]
    fn a_malformed_parent_begins_a_new_trace() {
        for parent in [
            "",
            "00-xyz",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(is_traceparent(&Origin::of_request("r", Some(parent)).traceparent), "{parent}");
        }
        assert_eq!(Origin::from_metadata(&[]), None);
    }
}
