//! The answer to a push (report-status in gitprotocol-pack), parsed and built in git's own form, so that git shows our answer like
//! its server's.

use std::collections::{BTreeMap, BTreeSet};

use super::commands::PushError;
use super::pkt;

/// The result of a push for one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RefResult {
    Updated,
    /// The reason, which git prints after `remote rejected`.
    Refused(String),
}

/// The forge's answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// The results by the name of the ref that was pushed.
    pub(super) results: BTreeMap<String, RefResult>,
    /// Text that git prints after `remote:`.
    pub(super) remarks: Vec<u8>,
}

const SIDE_BAND: &str = "side-band-64k";
/// The content of a side band's pkt-line: at most 65,520 bytes less its length and its band.
const MAX_BAND: usize = 65_515;

/// Parses an answer in the form that the capabilities select.
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
    let mut results = BTreeMap::new();
    for line in pkt::lines(&status)? {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if let Some(reference) = line.strip_prefix("ok ") {
            results.insert(reference.to_owned(), RefResult::Updated);
        } else if let Some((reference, reason)) = line.strip_prefix("ng ").and_then(|line| line.split_once(' ')) {
            results.insert(reference.to_owned(), RefResult::Refused(reason.to_owned()));
        }
    }
    Ok(Report { results, remarks })
}

/// Builds an answer in the form that the capabilities select.
pub(super) fn make(results: &[(&str, RefResult)], remarks: &[u8], capabilities: &BTreeSet<String>) -> Vec<u8> {
    let mut status = pkt::encode(b"unpack ok\n");
    for (reference, result) in results {
        let line = match result {
            RefResult::Updated => format!("ok {reference}\n"),
            RefResult::Refused(reason) => format!("ng {reference} {reason}\n"),
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

    use super::{RefResult, make, parse};

    #[test]
    fn what_is_made_is_read_again() {
        let refused = RefResult::Refused("not here".to_owned());
        let results = [("refs/heads/a", RefResult::Updated), ("refs/heads/b", refused.clone())];
        for capabilities in [BTreeSet::from(["side-band-64k".to_owned()]), BTreeSet::new()] {
            let report = parse(&make(&results, b"a remark\n", &capabilities), &capabilities).unwrap();
            assert_eq!(report.results["refs/heads/a"], RefResult::Updated);
            assert_eq!(report.results["refs/heads/b"], refused);
            assert_eq!(report.remarks.is_empty(), capabilities.is_empty());
        }
    }
}
