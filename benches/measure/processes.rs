//! Processes as the kernel counts them (`/proc`).

use std::fs::read_to_string;
use std::ops::Range;

/// Memory of a process, in kB of 1024 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Everything that is resident, shared pages included.
    pub resident: f64,
    /// Shared pages divided among those who share them.
    pub proportional: f64,
}

impl Memory {
    /// Of a running process.
    pub fn of(pid: u32) -> Self {
        let rollup = read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a running process of ours");
        let field = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name)).expect("a field of smaps_rollup");
            line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
        };
        Self { resident: field("Rss:"), proportional: field("Pss:") }
    }
}

/// Seconds of CPU of a process and its children (PostgreSQL's backends), those that have ended included.
pub fn processor_time(pid: u32) -> f64 {
    let own = |pid: u32, fields: Range<usize>| -> f64 {
        let Ok(stat) = read_to_string(format!("/proc/{pid}/stat")) else { return 0.0 };
        let Some((_, rest)) = stat.rsplit_once(')') else { return 0.0 };
        let fields: f64 =
            rest.split_whitespace().collect::<Vec<_>>()[fields].iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        fields / 100.0
    };
    let children = read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    // 11..13: utime and stime; 13..15: those of reaped children.
    let live: f64 = children.split_whitespace().filter_map(|child| child.parse().ok()).map(|child| own(child, 11..13)).sum();
    own(pid, 11..15) + live
}
