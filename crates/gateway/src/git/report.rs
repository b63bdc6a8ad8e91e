//! The answer to a push (report-status in gitprotocol-pack), read and made in git's own form, so that git shows ours as it
//! shows its server's.

use std::collections::{BTreeMap, BTreeSet};

use super::commands::PushError;
use super::pkt;

/// What became of a ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Moved,
    /// In words that git shows behind `remote rejected`.
    Refused(String),
}

/// What the forge answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// By the name under which it was pushed there.
    pub(super) fates: BTreeMap<String, Fate>,
    /// What git prints behind `remote:`.
    pub(super) remarks: Vec<u8>,
}

const SIDE_BAND: &str = "side-band-64k";
/// A pkt-line of a side band holds so much: 65,520 bytes less its length and its band.
const MAX_BAND: usize = 65_515;

/// Reads an answer in the form that the capabilities asked for.
pub(super) fn parse(bytes: &[u8], capabilities: &BTreeSet<String>) -> Result<Report, PushError> {
    let (mut status, mut remarks) = (Vec::new(), Vec::new());
    if capabilities.contains(SIDE_BAND) {
        for line in pkt::lines(bytes)? {
            match line.split_first() {
                Some((1, data)) => status.extend_from_slice(data),
                Some((2, text)) => remarks.extend_from_slice(text),
                _ => return Err(PushError::Malformed("the forge broke the push off")),
            }
        }
    } else {
        status.extend_from_slice(bytes);
    }
    let mut fates = BTreeMap::new();
    for line in pkt::lines(&status)? {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if let Some(reference) = line.strip_prefix("ok ") {
            fates.insert(reference.to_owned(), Fate::Moved);
        } else if let Some((reference, reason)) = line.strip_prefix("ng ").and_then(|line| line.split_once(' ')) {
            fates.insert(reference.to_owned(), Fate::Refused(reason.to_owned()));
        }
    }
    Ok(Report { fates, remarks })
}

/// Makes an answer in the form that the capabilities asked for.
pub(super) fn make(fates: &[(&str, Fate)], remarks: &[u8], capabilities: &BTreeSet<String>) -> Vec<u8> {
    let mut status = pkt::encode(b"unpack ok\n");
    for (reference, fate) in fates {
        let line = match fate {
            Fate::Moved => format!("ok {reference}\n"),
            Fate::Refused(reason) => format!("ng {reference} {reason}\n"),
        };
        status.extend(pkt::encode(line.as_bytes()));
    }
    status.extend(b"0000");
    if !capabilities.contains(SIDE_BAND) {
        return status;
    }
    let band = |number: u8, bytes: &[u8]| {
        let pieces = bytes.chunks(MAX_BAND).map(|piece| [&[number], piece].concat());
        pieces.flat_map(|piece| pkt::encode(&piece)).collect::<Vec<u8>>()
    };
    [band(2, remarks), band(1, &status), b"0000".to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Fate, make, parse};

    #[test]
    fn what_is_made_is_read_again() {
        let refused = Fate::Refused("not here".to_owned());
        let fates = [("refs/heads/a", Fate::Moved), ("refs/heads/b", refused.clone())];
        for capabilities in [BTreeSet::from(["side-band-64k".to_owned()]), BTreeSet::new()] {
            let report = parse(&make(&fates, b"a remark\n", &capabilities), &capabilities).unwrap();
            assert_eq!(report.fates["refs/heads/a"], Fate::Moved);
            assert_eq!(report.fates["refs/heads/b"], refused);
            assert_eq!(report.remarks.is_empty(), capabilities.is_empty());
        }
    }
}
