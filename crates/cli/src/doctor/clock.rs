//! The clock, on which times in the log, the expiry of tokens and TLS depend.

use std::time::{Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::check::Check;

const NAME: &str = "clock";

/// The first year is that of this program. A later year than the last one means that the clock was never set.
const YEARS: std::ops::Range<i16> = 2025..2100;

/// A file's time lags by one tick of the kernel, and another machine's disk may be off by a little.
const FILE_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// The gain or loss of a clock under adjustment while the other checks run.
const DRIFT_TOLERANCE: SignedDuration = SignedDuration::from_millis(500);

/// Both clocks at one moment.
pub(super) struct Watch {
    monotonic: Instant,
    system: SystemTime,
}

impl Watch {
    pub(super) fn start() -> Self {
        Watch { monotonic: Instant::now(), system: SystemTime::now() }
    }

    /// Compares the clocks with each other since [`Watch::start`], and with the time of a new file in `scratch`.
    pub(super) fn look(&self, scratch: Option<&TempDir>) -> Check {
        let file = scratch.and_then(|scratch| file_offset(scratch).ok());
        let monotonic = SignedDuration::try_from(self.monotonic.elapsed()).unwrap_or(SignedDuration::MAX);
        let drift = between(self.system, SystemTime::now()).checked_sub(monotonic).unwrap_or(SignedDuration::MAX);
        judge(Timestamp::now(), file, drift)
    }
}

/// Returns how far a new file's time is ahead of the system clock.
fn file_offset(scratch: &TempDir) -> std::io::Result<SignedDuration> {
    let path = scratch.path().join("clock");
    let before = SystemTime::now();
    std::fs::write(&path, "now")?;
    Ok(between(before, path.metadata()?.modified()?))
}

fn between(from: SystemTime, to: SystemTime) -> SignedDuration {
    SignedDuration::system_until(from, to).unwrap_or(SignedDuration::MAX)
}

fn judge(now: Timestamp, file: Option<SignedDuration>, drift: SignedDuration) -> Check {
    const REMEDY: &str = "set it and keep it right with an NTP service (`timedatectl set-ntp true`)";
    let year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
    if !YEARS.contains(&year) {
        return Check::fail(NAME, format!("it shows {now:.0}, which is impossible"), REMEDY);
    }
    if drift.abs() > DRIFT_TOLERANCE {
        let detail = format!("it jumped by {:.1} s during the check", drift.as_secs_f64());
        return Check::warn(NAME, detail, REMEDY);
    }
    match file {
        Some(offset) if offset.abs() > FILE_TOLERANCE => Check::warn(
            NAME,
            format!("new files in DATA_DIR have a time that is off by {:.0} s", offset.as_secs_f64()),
            "set DATA_DIR to a local disk, or set the clocks of both machines right",
        ),
        Some(_) | None => Check::ok(NAME, format!("{now:.0}, steady")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::check::Status;

    #[test]
    fn years_files_and_jumps() {
        let status = |now: &str, file, drift| {
            let file = Some(SignedDuration::from_secs(file));
            super::judge(now.parse().unwrap(), file, SignedDuration::from_millis(drift)).status
        };
        assert_eq!(status("2026-06-01T00:00:00Z", 0, 3), Status::Ok);
        assert_eq!(status("1970-01-01T00:10:00Z", 0, 0), Status::Fail);
        assert_eq!(status("2107-01-01T00:00:00Z", 0, 0), Status::Fail);
        assert_eq!(status("2026-06-01T00:00:00Z", -60, 0), Status::Warn);
        assert_eq!(status("2026-06-01T00:00:00Z", 0, -4_000), Status::Warn);
    }
}
