//! The one binary: `tuberry <command>`. The commands are in [`tuberry::cli`].

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    give_large_buffers_back();
    allow_many_sockets();
    tuberry::telemetry::start();
    let command = tuberry::cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tuberry: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(tuberry::cli::run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Settings that cannot be used are several lines.
            for line in format!("{error:#}").lines() {
                eprintln!("tuberry: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Every account is a socket, and the usual soft limit is 1,024 files: the hard one is ours to use. Where that cannot be, connections fail and say so.
fn allow_many_sockets() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Each MTProto connection has megabyte buffers, which glibc keeps after a storm of reconnects unless they are mapped on their own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "mallopt has no safe wrapper; it only sets a number, before any thread was started")]
fn give_large_buffers_back() {
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024) };
}

/// Other allocators give large buffers back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_large_buffers_back() {}
