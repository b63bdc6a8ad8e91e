//! References within a document.

use serde_json::Value;

/// The maximum length of a chain of references, and of their nesting.
pub(super) const MAX_DEPTH: usize = 16;

/// A document, and what leads to parts of it.
pub(super) struct Source<'a> {
    pub(super) document: &'a Value,
}

impl<'a> Source<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        Source { document }
    }

    /// Returns the value, or the target of its `$ref`. The error is the reference that leads nowhere, or in a circle.
    pub(super) fn resolved(&self, value: &'a Value) -> Result<&'a Value, String> {
        self.resolved_within(value, MAX_DEPTH)
    }

    fn resolved_within(&self, value: &'a Value, depth: usize) -> Result<&'a Value, String> {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok(value) };
        let shown: String = reference.chars().filter(|c| !c.is_control()).take(100).collect();
        let wrong = || format!("$ref {shown:?}");
        let depth = depth.checked_sub(1).ok_or_else(|| format!("$ref {shown:?} is a cycle"))?;
        let pointer = reference.strip_prefix('#').ok_or_else(wrong)?;
        let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy().into_owned();
        let mut found = self.document;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            // A part of the way may be a reference itself.
            let here = self.resolved_within(found, depth)?;
            let next = match here {
                Value::Array(items) => part.parse::<usize>().ok().and_then(|number| items.get(number)),
                other => other.get(&part),
            };
            found = next.ok_or_else(wrong)?;
        }
        if std::ptr::eq(found, value) {
            return Err(format!("$ref {shown:?} is a cycle"));
        }
        if found.is_null() { Err(wrong()) } else { self.resolved_within(found, depth) }
    }

    /// The objects that have the operations of a path: the item, and the one to which it refers.
    pub(super) fn path_item(&self, item: &'a Value) -> Result<Vec<&'a Value>, String> {
        let target = self.resolved(item)?;
        if !target.is_object() {
            return Err("it must be an object".to_owned());
        }
        Ok(if std::ptr::eq(item, target) { vec![item] } else { vec![item, target] })
    }
}
