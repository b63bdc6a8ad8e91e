//! The model: requests of an API, independent of the input's format.

use std::collections::BTreeMap;

/// The generated tools, and the requests that are not part of any.
#[derive(Debug)]
pub struct Collection {
    pub tools: Vec<Tool>,
    pub left_out: LeftOut,
}

/// Number of requests that were left out, by reason.
pub type LeftOut = BTreeMap<String, usize>;

/// One script: the requests of one resource, such as `/users` and the paths below it.
#[derive(Debug)]
pub struct Tool {
    /// The file's name without its extension.
    pub name: String,
    pub resource: String,
    pub service: Service,
    /// Sorted by path.
    pub operations: Vec<Operation>,
}

/// One API at one address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// The base of tool names: `acme`.
    pub name: String,
    /// The prefix of variable names: `ACME`.
    pub prefix: String,
    /// The address in the input. A tool takes its address from the environment.
    pub address: String,
}

impl Service {
    /// The name of the variable with the service's address.
    pub fn url_variable(&self) -> String {
        super::names::variable(&self.prefix, "URL")
    }
}

/// One command of a tool: one request.
#[derive(Debug)]
pub struct Operation {
    /// The command's name: `get-user`. It is unique within its tool.
    pub name: String,
    /// The HTTP method in capital letters.
    pub method: String,
    pub path: Vec<Piece>,
    pub summary: Option<String>,
    pub inputs: Vec<Input>,
    pub body: BodyKind,
    /// Headers that have the same value in every request.
    pub constants: BTreeMap<String, String>,
    pub secrets: Vec<Secret>,
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// Text as it appears in the URL, percent-encoded.
    Literal(String),
    /// The parameter's name: `user-id`.
    Parameter(String),
}

/// An option of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The name in the API.
    pub name: String,
    /// The name in the tool, without dashes. It is unique within its operation.
    pub option: String,
    pub place: Place,
    pub required: bool,
    pub about: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Query,
    Header,
    Form,
    /// A field of the JSON body that is a string.
    Text,
    /// A field of the JSON body of any other type. Its value is given as JSON.
    Json,
    /// The JSON body as a whole.
    Whole,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    None,
    Json,
    Form,
}

/// A value that comes from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    pub place: SecretPlace,
    pub variable: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// `before` is the fixed text before the value, such as `Bearer `.
    Header {
        name: String,
        before: &'static str,
    },
    Query(String),
    Form(String),
    Json(String),
}

/// The path for people: `/users/USER_ID/usage`.
pub(super) fn shown_path(path: &[Piece]) -> String {
    path.iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Parameter(name) => shown(name),
        })
        .collect()
}

/// The parameter `user-id` as help texts show it: `USER_ID`.
pub(super) fn shown(parameter: &str) -> String {
    parameter.replace('-', "_").to_ascii_uppercase()
}
