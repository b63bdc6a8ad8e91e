//! Checks that the engine's machine has the memory that sandboxes may use.

use super::Settings;
use super::check::Check;

const NAME: &str = "memory";

/// `engine_bytes` is the memory of the machine that runs the sandboxes, or 0 if it is unknown.
pub(super) fn look(settings: &Settings, engine_bytes: u64) -> Check {
    let usual = (settings.usual_sandboxes)(engine_bytes);
    let max = settings.max_sandboxes.unwrap_or(usual);
    judge(engine_bytes, settings.sandbox.limits.memory_bytes, max, usual)
}

/// `usual` is the default of MAX_SANDBOXES.
fn judge(engine_bytes: u64, sandbox_bytes: u64, max: usize, usual: usize) -> Check {
    if engine_bytes == 0 {
        return Check::warn(NAME, "the engine does not report its memory", "check `docker info`");
    }
    let full = engine_bytes / sandbox_bytes.max(1);
    let detail = format!(
        "{} for sandboxes of up to {}: room for {full} that use all of it, and at most {max} run at once",
        in_words(engine_bytes),
        in_words(sandbox_bytes)
    );
    if full == 0 {
        Check::fail(NAME, detail, "lower SANDBOX_MEMORY below what the machine has")
    } else if max > usual {
        let remedy =
            format!("lower MAX_SANDBOXES to {usual}, or SANDBOX_MEMORY, unless the agents are known to be small");
        Check::warn(NAME, detail, remedy)
    } else {
        Check::ok(NAME, detail)
    }
}

fn in_words(bytes: u64) -> String {
    match bytes {
        ..0x4000_0000 => format!("{} MiB", bytes >> 20),
        // Real machines have a little less memory than a round number.
        _ => format!("{:.1} GiB", f64::from(u32::try_from(bytes >> 20).unwrap_or(u32::MAX)) / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;

    const GIB: u64 = 1 << 30;

    #[test]
    fn sandboxes_may_be_more_than_fit_but_not_by_any_number() {
        let judge = |memory, sandbox, max| super::judge(memory, sandbox, max, 32).status;
        assert_eq!(judge(16 * GIB, 2 * GIB, 32), Status::Ok);
        assert_eq!(judge(16 * GIB, 2 * GIB, 33), Status::Warn);
        assert_eq!(judge(16 * GIB, 17 * GIB, 1), Status::Fail);
        assert_eq!(judge(0, 2 * GIB, 1), Status::Warn);
        let detail = super::judge(16 * GIB - 1, GIB / 2, 4, 4).detail;
        assert!(detail.starts_with("16.0 GiB for sandboxes of up to 512 MiB: room for 31"), "{detail}");
    }
}
