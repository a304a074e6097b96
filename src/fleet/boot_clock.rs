//! The clock that goes on while the machine sleeps (`CLOCK_BOOTTIME`): a process that was frozen together with its host must see
//! that its lease is old.

use std::time::Duration;

/// Time since boot, suspended time included. Never goes back.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "clock_gettime has no safe wrapper in the features that the workspace uses; it fills one struct")]
pub(super) fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec, and CLOCK_BOOTTIME exists since Linux 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Elsewhere only the running time is known: good enough for development.
#[cfg(not(target_os = "linux"))]
pub(super) fn now() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_advances_with_real_time() {
        let before = super::now();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let passed = super::now() - before;
        assert!(passed.as_millis() >= 20 && passed.as_secs() < 5, "{passed:?}");
    }
}
