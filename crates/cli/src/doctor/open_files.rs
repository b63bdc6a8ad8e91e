//! Checks the limit on open files: a subscriber needs one, a sandbox about five.

use nix::sys::resource::{Resource, getrlimit};

use super::check::Check;

const NAME: &str = "open-files";
const ENOUGH: u64 = 4096;

pub(super) fn look() -> Check {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _)) => judge(soft),
        Err(error) => Check::warn(NAME, format!("could not read the limit: {error}"), "check it with `ulimit -n`"),
    }
}

fn judge(limit: u64) -> Check {
    match limit {
        nix::sys::resource::RLIM_INFINITY => Check::ok(NAME, "unlimited"),
        ENOUGH.. => Check::ok(NAME, format!("at most {limit}")),
        ..ENOUGH => Check::warn(
            NAME,
            format!("at most {limit}, which some hundred subscribers and sandboxes use up"),
            "set LimitNOFILE=65536 in the service's unit, or `ulimit -n 65536` before the start",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;

    #[test]
    fn below_4096_is_a_warning() {
        assert_eq!(super::judge(4096).status, Status::Ok);
        assert_eq!(super::judge(u64::MAX).detail, "unlimited");
        assert_eq!(super::judge(4095).status, Status::Warn);
    }
}
