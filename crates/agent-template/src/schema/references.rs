//! The references of a schema. Each target becomes an entry of `definitions`, where the CLI and the model API find it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(super) struct References<'a> {
    document: &'a Value,
    /// The pointers of subschemas by their `$id`, and by their `$anchor` after a `#`.
    identified: BTreeMap<String, String>,
    /// The names in `definitions` by pointer.
    names: BTreeMap<String, String>,
    taken: BTreeSet<String>,
    pending: Vec<(String, &'a Value)>,
}

impl<'a> References<'a> {
    pub(super) fn of(document: &'a Value) -> Self {
        let mut identified = BTreeMap::new();
        identify(document, "", &mut identified);
        References { document, identified, names: BTreeMap::new(), taken: BTreeSet::new(), pending: Vec::new() }
    }

    /// The name in `definitions` for the target of a reference. `None` if the document does not contain it.
    pub(super) fn name(&mut self, reference: &str) -> Option<String> {
        let pointer = self.pointer(reference)?;
        if let Some(name) = self.names.get(&pointer) {
            return Some(name.clone());
        }
        let target = self.document.pointer(&pointer)?;
        let last = pointer.rsplit('/').next().filter(|last| !last.is_empty()).unwrap_or("root");
        let plain: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let numbered = (1_u32..).map(|number| if number == 1 { plain.clone() } else { format!("{plain}_{number}") });
        let name = numbered.into_iter().find(|name| !self.taken.contains(name))?;
        self.taken.insert(name.clone());
        self.names.insert(pointer, name.clone());
        self.pending.push((name.clone(), target));
        Some(name)
    }

    /// The next target that has a name and is not rewritten yet.
    pub(super) fn next(&mut self) -> Option<(String, &'a Value)> {
        self.pending.pop()
    }

    fn pointer(&self, reference: &str) -> Option<String> {
        let (resource, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let root = match resource {
            "" => String::new(),
            id => self.identified.get(id).or_else(|| self.identified.get(last_segment(id)))?.clone(),
        };
        let fragment = percent_encoding::percent_decode_str(fragment).decode_utf8().ok()?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return Some(format!("{root}{fragment}"));
        }
        self.identified.get(&format!("#{fragment}")).cloned()
    }
}

fn last_segment(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

fn identify(value: &Value, pointer: &str, identified: &mut BTreeMap<String, String>) {
    let mut note = |name: String| {
        identified.entry(name).or_insert_with(|| pointer.to_owned());
    };
    match value {
        Value::Object(map) => {
            for keyword in ["$id", "id"] {
                if let Some(id) = map.get(keyword).and_then(Value::as_str) {
                    note(id.trim_end_matches('#').to_owned());
                    note(last_segment(id.trim_end_matches('#')).to_owned());
                }
            }
            for keyword in ["$anchor", "$dynamicAnchor"] {
                if let Some(anchor) = map.get(keyword).and_then(Value::as_str) {
                    note(format!("#{anchor}"));
                }
            }
            for (key, value) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                identify(value, &format!("{pointer}/{key}"), identified);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                identify(value, &format!("{pointer}/{index}"), identified);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
