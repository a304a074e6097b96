//! What the benches measure with: traffic and its latencies, processes as the kernel sees them, and where results go.

mod processes;
pub mod traffic;

pub use processes::{Memory, processor_time};
pub use traffic::Traffic;

/// The value below which `part` of the values lie.
pub fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index of a short list"
    )]
    let index = (last as f64 * part).round() as usize;
    sorted[index]
}

/// Writes `target/bench/<name>.json`.
pub fn write(name: &str, results: &serde_json::Value) {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    std::fs::create_dir_all(&folder).expect("a folder below target");
    let text = serde_json::to_string_pretty(results).expect("plain numbers");
    std::fs::write(folder.join(name).with_extension("json"), text).expect("a file below target");
}
