//! Whether traces are exported. Everything else about them the exporter reads itself, by the names that OpenTelemetry gives.

use super::{Environment, Refused};

/// Where traces go is in the environment; this is what we add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// `OTEL_SERVICE_NAME`, or what this process is.
    pub service: String,
}

impl Traces {
    /// The variable that turns traces on.
    pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// `None`: nothing is exported.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>, service: &str) -> Result<Option<Self>, Refused> {
        let environment = Environment(variable);
        let service = || environment.text("OTEL_SERVICE_NAME").unwrap_or_else(|| service.to_owned());
        Ok(environment.http_url(Self::ENDPOINT)?.map(|_| Self { service: service() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Option<Traces>, Refused> {
        let variable = |name: &str| given.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Traces::read(&variable, "tuberry-worker")
    }

    #[test]
    fn a_collector_turns_traces_on() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[(Traces::ENDPOINT, " ")]).unwrap(), None);
        let endpoint = (Traces::ENDPOINT, "http://127.0.0.1:4318");
        assert_eq!(read(&[endpoint]).unwrap().unwrap().service, "tuberry-worker");
        assert_eq!(read(&[endpoint, ("OTEL_SERVICE_NAME", "ours")]).unwrap().unwrap().service, "ours");
        assert_eq!(read(&[(Traces::ENDPOINT, "collector:4317")]).unwrap_err().name, Traces::ENDPOINT);
    }
}
