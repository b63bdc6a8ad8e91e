//! EGRESS_ALLOW: rules, and presets, which are named lists of rules in a file of the operator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use domain::egress::EgressRule;
use domain::plain::of_serde;

use super::value::parts;

/// The value of EGRESS_ALLOW. [`EgressList::rules`] resolves its presets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressList {
    rules: Vec<EgressRule>,
    presets: Vec<String>,
}

/// A preset that cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    #[error("EGRESS_ALLOW names preset:{0}, but EGRESS_PRESETS_FILE is not set")]
    NoFile(String),
    #[error("EGRESS_ALLOW names preset:{name}, which is not in EGRESS_PRESETS_FILE; there are: {known}")]
    Unknown { name: String, known: String },
    #[error("EGRESS_PRESETS_FILE is {}, which could not be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("EGRESS_PRESETS_FILE is {}, which must have lines like NAME = [\"host\", \"host:port\"]: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
}

/// The prefix of a preset's name.
const PRESET: &str = "preset:";

impl FromStr for EgressList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut list = EgressList::default();
        for part in parts(text) {
            match part.strip_prefix(PRESET) {
                Some(name) if is_name(name) => list.presets.push(name.to_owned()),
                Some(_) => return Err(format!("{part}: a preset's name has letters, digits, `-` and `_`")),
                None => list.rules.push(part.parse().map_err(|error| format!("{part}: {error}"))?),
            }
        }
        Ok(list)
    }
}

impl EgressList {
    /// All rules, including those of the presets in `file` (EGRESS_PRESETS_FILE). The whole file is checked, so that a mistake
    /// shows at the start and not when a preset is first used.
    pub fn rules(&self, file: Option<&Path>) -> Result<Vec<EgressRule>, PresetError> {
        let presets = file.map(read).transpose()?;
        let mut rules = self.rules.clone();
        for name in &self.presets {
            let presets = presets.as_ref().ok_or_else(|| PresetError::NoFile(name.clone()))?;
            let preset = presets.get(name).ok_or_else(|| {
                let known = presets.keys().cloned().collect::<Vec<_>>().join(", ");
                PresetError::Unknown { name: name.clone(), known }
            })?;
            rules.extend(preset.iter().cloned());
        }
        Ok(rules)
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Vec<EgressRule>>, PresetError> {
    let text = std::fs::read_to_string(path).map_err(|source| PresetError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|reason| PresetError::Malformed { path: path.to_owned(), reason })
}

fn parse(text: &str) -> Result<BTreeMap<String, Vec<EgressRule>>, String> {
    let lists: BTreeMap<String, Vec<String>> =
        toml::from_str(text).map_err(|error| of_serde("preset", error.message()))?;
    let preset = |(name, rules): (String, Vec<String>)| {
        if !is_name(&name) {
            return Err(format!("{name}: a preset's name has letters, digits, `-` and `_`"));
        }
        let rules = rules.iter().map(|rule| rule.parse().map_err(|error| format!("{name}: {error}")));
        Ok((name.clone(), rules.collect::<Result<_, _>>()?))
    };
    lists.into_iter().map(preset).collect()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

#[cfg(test)]
mod tests;
