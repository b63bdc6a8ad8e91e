//! Finds the JSON object in the answer of an agent that has no schema.

use serde_json::{Map, Value};

/// The object that an answer is, or ends in.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundObject {
    pub object: Map<String, Value>,
    /// The answer has text besides the object.
    pub has_prose: bool,
}

/// Returns the object that the agent gave as its answer: the whole text is one, or the text ends in a fenced block that
/// contains one. Braces elsewhere in a text are part of the text.
pub fn find_object(text: &str) -> Option<FoundObject> {
    match parse(text) {
        Some(object) => Some(FoundObject { object, has_prose: false }),
        None => at_the_end(text),
    }
}

fn parse(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text.trim_matches(is_blank)).ok()
}

pub(crate) fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

/// The object in the fenced block that ends the text. A block without a closing fence ends with the text.
fn at_the_end(text: &str) -> Option<FoundObject> {
    let (mut has_prose, mut had_block) = (false, false);
    let mut last = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(fence) = Fence::opened_by(line) {
            let block: Vec<&str> = lines.by_ref().take_while(|line| !fence.is_closed_by(line)).collect();
            has_prose |= had_block;
            had_block = true;
            last = if fence.is_json { parse(&block.join("\n")) } else { None };
        } else if !line.trim_matches(is_blank).is_empty() {
            has_prose = true;
            last = None;
        }
    }
    Some(FoundObject { object: last?, has_prose })
}

/// The opening line of a fenced block in Markdown.
struct Fence {
    mark: char,
    length: usize,
    /// The block has no language, or JSON.
    is_json: bool,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Fence> {
        let line = line.trim_start_matches(is_blank);
        let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = line.trim_start_matches(mark);
        let length = line.len() - info.len();
        // Backticks after the first ones make it code within a line.
        if length < 3 || (mark == '`' && info.contains('`')) {
            return None;
        }
        let language = info.split_whitespace().next().unwrap_or_default();
        Some(Fence { mark, length, is_json: language.is_empty() || language.eq_ignore_ascii_case("json") })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim_matches(is_blank);
        line.len() >= self.length && line.chars().all(|mark| mark == self.mark)
    }
}

#[cfg(test)]
mod tests;
