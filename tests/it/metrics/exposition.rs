//! A strict reader of the part of the OpenMetrics text format that the server uses:
//! <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md#text-format>. Panics if a text is invalid.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// The families by the name of their samples, which is `NAME_total` for a counter.
    pub(crate) families: BTreeMap<String, Family>,
}

#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Exposition {
    pub(crate) fn parse(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("the end is marked");
        let mut found = Exposition::default();
        let mut current: Option<(String, Family)> = None;
        let mut seen = BTreeSet::new();
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                found.add(current.take());
                let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(is_name(name) && help.len() > 5 && help.ends_with('.'), "{line}");
                current = Some((name.to_owned(), Family::default()));
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, family) = current.as_mut().unwrap_or_else(|| panic!("no help before {line}"));
                let kind = rest.strip_prefix(&format!("{name} ")).unwrap_or_else(|| panic!("{line} in {name}"));
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(family.kind.is_empty() && family.samples.is_empty(), "{line} comes late");
                kind.clone_into(&mut family.kind);
            } else {
                assert!(!line.starts_with('#') && !line.is_empty(), "{line:?}");
                let (name, family) = current.as_mut().unwrap_or_else(|| panic!("nothing before {line}"));
                let sample = Sample::parse(line);
                let suffix = sample.name.strip_prefix(name.as_str()).unwrap_or_else(|| panic!("{line} in {name}"));
                let suffixes: &[&str] = match family.kind.as_str() {
                    "counter" => &["_total"],
                    "gauge" => &[""],
                    _ => &["_sum", "_count", "_bucket"],
                };
                assert!(suffixes.contains(&suffix), "{line} in a {}", family.kind);
                assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "{line} comes twice");
                assert!(family.kind == "gauge" || sample.value >= 0.0, "{line}");
                family.samples.push(sample);
            }
        }
        found.add(current.take());
        found
    }

    fn add(&mut self, family: Option<(String, Family)>) {
        let Some((name, family)) = family else { return };
        assert!(!family.kind.is_empty(), "{name} has no type");
        if family.kind == "histogram" {
            family.check_buckets(&name);
        }
        let name = if family.kind == "counter" { format!("{name}_total") } else { name };
        assert!(self.families.insert(name.clone(), family).is_none(), "{name} comes twice");
    }

    /// Returns the sum of all samples with this name and these labels, or 0 without any.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.families.values().flat_map(|family| &family.samples);
        let of = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
        };
        samples.filter(of).map(|sample| sample.value).sum()
    }

    /// Returns every value of every label, except for the bounds of buckets.
    pub(crate) fn label_values(&self) -> BTreeSet<(&str, &str)> {
        let samples = self.families.values().flat_map(|family| &family.samples);
        let labels = samples.flat_map(|sample| &sample.labels);
        labels.filter(|(name, _)| *name != "le").map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

impl Family {
    /// Checks that the buckets of each set of labels grow, and that the last one, without a bound, contains all.
    fn check_buckets(&self, name: &str) {
        let without_bound = |sample: &Sample| {
            let mut labels = sample.labels.clone();
            labels.remove("le");
            labels
        };
        for count in self.samples.iter().filter(|sample| sample.name.ends_with("_count")) {
            let buckets = self.samples.iter().filter(|sample| sample.name.ends_with("_bucket"));
            let buckets: Vec<_> = buckets.filter(|sample| without_bound(sample) == count.labels).collect();
            let bounds: Vec<f64> = buckets.iter().map(|sample| number(&sample.labels["le"])).collect();
            assert!(bounds.is_sorted() && buckets.is_sorted_by_key(|sample| sample.value), "{name}: {buckets:?}");
            let last = buckets.last().unwrap_or_else(|| panic!("{name} has no buckets"));
            assert_eq!((last.labels["le"].as_str(), last.value), ("+Inf", count.value), "{name}");
        }
    }
}

impl Sample {
    /// Parses `name{label="value",…} 1.5`.
    fn parse(line: &str) -> Self {
        let (head, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (name, labels) = match head.split_once('{') {
            Some((name, rest)) => (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}"))),
            None => (head, ""),
        };
        assert!(is_name(name), "{line}");
        let mut found = BTreeMap::new();
        // The server's label values contain no comma and no quotation mark.
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let value = value.filter(|value| !value.contains(['"', '\\'])).unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label), "{line}");
            assert!(found.insert(label.to_owned(), value.to_owned()).is_none(), "{line}");
        }
        Sample { name: name.to_owned(), labels: found, value: number(value) }
    }
}

fn number(text: &str) -> f64 {
    if text == "+Inf" { f64::INFINITY } else { text.parse().unwrap_or_else(|_| panic!("{text:?} is no number")) }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
