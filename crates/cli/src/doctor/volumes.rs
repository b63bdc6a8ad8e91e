//! Volumes in the engine that no session of the store has.

use std::path::Path;

use engine::Engine;

use super::check::{Check, in_words};
use crate::volumes::{Orphan, orphans};

const NAME: &str = "volumes";
const REMEDY: &str = "restore the store that knows them, or remove them with `claude-runner prune`; the server removes each \
                      when ORPHAN_VOLUME_GRACE is over";
/// The number of names that are listed.
const NAMES: usize = 10;

pub(super) async fn look(engine: &dyn Engine, data_dir: &Path, in_use: bool) -> Check {
    match orphans(engine, data_dir, in_use).await {
        Ok(Some(orphans)) => judge(&orphans),
        Ok(None) => Check::ok(NAME, "there is no store of this version yet to compare them with"),
        Err(error) => Check::warn(
            NAME,
            format!("they cannot be compared with the store: {}", in_words(error.as_ref())),
            "see to the engine and the store first",
        ),
    }
}

fn judge(orphans: &[Orphan]) -> Check {
    if orphans.is_empty() {
        return Check::ok(NAME, "every volume belongs to a session");
    }
    let mut names: Vec<String> = orphans
        .iter()
        .take(NAMES)
        .map(|orphan| match &orphan.record {
            Some(record) => format!("{} (since {:.0})", orphan.name, record.since),
            None => orphan.name.clone(),
        })
        .collect();
    if orphans.len() > NAMES {
        names.push(format!("{} more", orphans.len() - NAMES));
    }
    let count =
        if orphans.len() == 1 { "1 volume belongs".to_owned() } else { format!("{} volumes belong", orphans.len()) };
    Check::warn(NAME, format!("{count} to no session: {}", names.join(", ")), REMEDY)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use store::OrphanVolume;

    use super::super::check::Status;
    use super::{Orphan, judge};

    #[test]
    fn orphans_are_listed_by_name() {
        let since = "2026-01-02T03:04:05.6Z".parse().unwrap();
        let orphan = |name: &str, since: Option<Timestamp>| {
            let record = since.map(|since| OrphanVolume { name: name.to_owned(), since, deleted: false });
            Orphan { name: name.to_owned(), record }
        };
        let check = judge(&[orphan("a", Some(since)), orphan("b", None)]);
        assert_eq!(check.status, Status::Warn);
        assert_eq!(check.detail, "2 volumes belong to no session: a (since 2026-01-02T03:04:05Z), b");
        assert_eq!(judge(&[]).status, Status::Ok);
        let many: Vec<Orphan> = (0..12).map(|number| orphan(&format!("v{number}"), None)).collect();
        assert!(judge(&many).detail.ends_with("v9, 2 more"));
    }
}
