//! GraphQL documents, as far as a recording needs them: the operation's name and its variables.

use std::collections::BTreeMap;

use crate::secrets::looks_secret;

/// An operation of a GraphQL document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct GraphQlOperation {
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) variables: BTreeMap<String, VariableType>,
}

/// The type of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VariableType {
    /// `Some(true)` for strings and ids, `None` for types that the document does not explain.
    pub(super) is_text: Option<bool>,
    pub(super) required: bool,
}

/// Reads the operation with this name, or the first one. `None` if the text is not a GraphQL document.
pub(super) fn operation(document: &str, wanted: Option<&str>) -> Option<GraphQlOperation> {
    let tokens = tokens(document)?;
    let mut found: Option<GraphQlOperation> = None;
    let mut at = 0;
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        match *token {
            "{" | "(" | "[" => {
                if depth == 0 && *token == "{" && found.is_none() && at == 0 {
                    let name = tokens.get(1).filter(|name| is_name(name));
                    let name = name.map(|name| (*name).to_owned());
                    found = Some(GraphQlOperation { kind: "query".to_owned(), name, variables: BTreeMap::new() });
                }
                depth += 1;
            }
            "}" | ")" | "]" => depth = depth.checked_sub(1)?,
            kind @ ("query" | "mutation" | "subscription") if depth == 0 => {
                let operation = read_operation(kind, &tokens[at + 1..]);
                if found.is_none() || (wanted.is_some() && operation.name.as_deref() == wanted) {
                    found = Some(operation);
                }
            }
            _ => {}
        }
        at += 1;
    }
    found.filter(|_| depth == 0)
}

/// True if a string in the document looks like a secret.
pub(super) fn has_secret(document: &str) -> bool {
    document.split('"').skip(1).step_by(2).any(looks_secret)
}

fn read_operation(kind: &str, rest: &[&str]) -> GraphQlOperation {
    let mut operation = GraphQlOperation { kind: kind.to_owned(), ..GraphQlOperation::default() };
    let mut rest = rest;
    if let Some(name) = rest.first().filter(|name| is_name(name)) {
        operation.name = Some((*name).to_owned());
        rest = &rest[1..];
    } else if let Some(field) = rest.iter().skip_while(|token| **token != "{").nth(1).filter(|name| is_name(name)) {
        operation.name = Some((*field).to_owned());
    }
    if rest.first() != Some(&"(") {
        return operation;
    }
    let mut at = 1;
    while let Some(token) = rest.get(at).filter(|token| **token != ")") {
        if let (Some(name), Some(&":")) = (token.strip_prefix('$'), rest.get(at + 1)) {
            let (variable, length) = read_type(&rest[at + 2..]);
            operation.variables.insert(name.to_owned(), variable);
            at += length + 2;
        } else {
            at += 1;
        }
    }
    operation
}

/// Reads a type and its default. Returns the number of tokens.
fn read_type(rest: &[&str]) -> (VariableType, usize) {
    let mut length = 0;
    while matches!(rest.get(length), Some(token) if ["[", "]", "!"].contains(token) || is_name(token)) {
        length += 1;
    }
    let is_list = rest.first() == Some(&"[");
    let is_text = match rest.first() {
        Some(&("ID" | "String")) => Some(true),
        Some(&("Int" | "Float" | "Boolean")) => Some(false),
        _ if is_list => Some(false),
        _ => None,
    };
    let required = length > 0 && rest.get(length - 1) == Some(&"!") && rest.get(length) != Some(&"=");
    (VariableType { is_text, required }, length.max(1))
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Splits a document. `None` if it contains what no document contains.
fn tokens(document: &str) -> Option<Vec<&str>> {
    let mut tokens = Vec::new();
    let mut rest = document;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == '\u{feff}');
        let Some(first) = rest.chars().next() else { break };
        let length = match first {
            '#' => {
                rest = &rest[rest.find(['\n', '\r']).unwrap_or(rest.len())..];
                continue;
            }
            '"' => string_length(rest)?,
            '.' => rest.starts_with("...").then_some(3)?,
            '{' | '}' | '(' | ')' | '[' | ']' | ':' | '!' | '=' | '@' | '|' | '&' => 1,
            '$' => 1 + word_length(&rest[1..]),
            c if c.is_ascii_alphanumeric() || c == '_' || c == '-' => word_length(rest).max(1),
            _ => return None,
        };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
    let is_start = |token: &&str| ["{", "query", "mutation", "subscription", "fragment"].contains(token);
    (tokens.first().is_some_and(is_start) && tokens.contains(&"{")).then_some(tokens)
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || "_-+.".contains(c))).unwrap_or(text.len())
}

fn string_length(text: &str) -> Option<usize> {
    if let Some(rest) = text.strip_prefix("\"\"\"") {
        return rest.find("\"\"\"").map(|end| end + 6);
    }
    let mut escaped = false;
    let end = text[1..].find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::{VariableType, operation};

    #[test]
    fn a_document_has_a_name_and_variables() {
        let document = "# comment\nfragment F on User { id }\nquery GetUser($id: ID!, $first: Int = 10, $tags: [String!]!, \
                        $at: DateTime, $x: ID! = \"}\") @live { user(id: $id) { ...F } }\nmutation Other { a }";
        let read = operation(document, None).unwrap();
        assert_eq!((read.kind.as_str(), read.name.as_deref()), ("query", Some("GetUser")));
        let of = |is_text, required| VariableType { is_text, required };
        let expected = [
            ("at", of(None, false)),
            ("first", of(Some(false), false)),
            ("id", of(Some(true), true)),
            ("tags", of(Some(false), true)),
            ("x", of(Some(true), false)),
        ];
        assert_eq!(read.variables, expected.map(|(name, kind)| (name.to_owned(), kind)).into());
        assert_eq!(operation(document, Some("Other")).unwrap().kind, "mutation");
        assert_eq!(operation("{ viewer { id } }", None).unwrap().name.as_deref(), Some("viewer"));
        assert_eq!(operation("mutation { save(a: 1) { id } }", None).unwrap().name.as_deref(), Some("save"));
        for text in ["shoes", "{", "query shoes", "{\"a\": 1;}", "select * from x", "a { b }", ""] {
            assert_eq!(operation(text, None), None, "{text}");
        }
    }
}
