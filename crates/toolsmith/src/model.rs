//! Requests of an API, wherever they are known from.

use std::collections::BTreeMap;

/// The tools of one run, and what there are none for.
#[derive(Debug)]
pub struct Collection {
    pub tools: Vec<Tool>,
    pub left_out: LeftOut,
}

/// How many requests were left out, by reason.
pub type LeftOut = BTreeMap<String, usize>;

/// The requests of one resource, `/users` and what is below: one script.
#[derive(Debug)]
pub struct Tool {
    /// Its file's name without the ending.
    pub name: String,
    pub resource: String,
    pub service: Service,
    /// In the order of their paths.
    pub operations: Vec<Operation>,
}

/// One API at one address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// For the names of tools: `acme`.
    pub name: String,
    /// For the names of variables: `ACME`.
    pub prefix: String,
    /// Where it was; its address comes from the environment.
    pub address: String,
}

impl Service {
    pub fn url_variable(&self) -> String {
        super::names::variable(&self.prefix, "URL")
    }
}

#[derive(Debug)]
pub struct Operation {
    /// The command: `get-user`. Unique within its tool.
    pub name: String,
    /// Of capital letters.
    pub method: String,
    pub path: Vec<Piece>,
    pub summary: Option<String>,
    pub inputs: Vec<Input>,
    pub body: BodyKind,
    /// Headers that are always the same.
    pub constants: BTreeMap<String, String>,
    pub secrets: Vec<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// As it stands in the URL, percent-encoded.
    Literal(String),
    /// The parameter's name: `user-id`.
    Parameter(String),
}

/// What a caller of the tool may give as an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// As the API calls it.
    pub name: String,
    /// As the tool does, without dashes. Unique within its operation.
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
    /// A field of the JSON body that is anything else, given as JSON.
    Json,
    /// The JSON body itself.
    Whole,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    None,
    Json,
    Form,
}

/// A value that is taken from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    pub place: SecretPlace,
    pub variable: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// `before`: what stands before the value, such as `Bearer `.
    Header {
        name: String,
        before: &'static str,
    },
    Query(String),
    Form(String),
    Json(String),
}

/// `/users/USER_ID/usage`
pub(super) fn shown_path(path: &[Piece]) -> String {
    path.iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Parameter(name) => shown(name),
        })
        .collect()
}

/// `user-id` as help texts show it: `USER_ID`.
pub(super) fn shown(parameter: &str) -> String {
    parameter.replace('-', "_").to_ascii_uppercase()
}
