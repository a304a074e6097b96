//! Messages at a rate that rises until they fall behind: the same for ours and for Telethon.

use crate::measure::{Traffic, percentile};

/// A rate is sustained when 99 of 100 messages take less, ms.
const BEHIND: f64 = 1_000.0;
/// How long each rate is tried.
const SECONDS: usize = 6;
/// Messages a second, one rate after the other until one is not sustained.
const RATES: [usize; 10] = [200, 300, 400, 500, 600, 800, 1_000, 1_250, 1_500, 2_000];

/// What a rate took.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Messages a second.
    pub rate: usize,
    /// ms.
    pub p50: f64,
    /// ms.
    pub p99: f64,
    /// ms of CPU for a message, one for each counter.
    pub processors: [f64; 2],
}

/// One rate for that many seconds. `processors` counts seconds of CPU.
pub async fn step(traffic: &Traffic, rate: usize, seconds: usize, processors: impl Fn() -> [f64; 2]) -> Step {
    let (count, before) = (rate * seconds, processors());
    let latencies = traffic.paced(rate, count).await;
    let after = processors();
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let each = |index: usize| (after[index] - before[index]) * 1_000.0 / count as f64;
    let step = Step { rate, p50: percentile(&latencies, 0.5), p99: percentile(&latencies, 0.99), processors: [each(0), each(1)] };
    eprintln!("    {step:.1?}");
    step
}

/// The highest of the rates that is sustained; `None`: not even the first.
pub async fn highest(traffic: &Traffic, processors: impl Fn() -> [f64; 2]) -> Option<Step> {
    let mut highest = None;
    for rate in RATES {
        let step = step(traffic, rate, SECONDS, &processors).await;
        if step.p99 > BEHIND {
            break;
        }
        highest = Some(step);
    }
    highest
}

/// The rate of a step for the table; 0 where there is none.
pub fn rate(step: Option<Step>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    step.map_or(0.0, |step| step.rate as f64)
}
