//! The model: requests of an API, independent of the input's format.

use std::collections::BTreeMap;

use super::left_out::LeftOut;

/// The generated tools, and the requests that are not part of any.
#[derive(Debug)]
pub struct Collection {
    pub tools: Vec<Tool>,
    pub left_out: LeftOut,
    /// Sentences about the input as a whole.
    pub notes: Vec<String>,
}

/// One script: the requests of one resource, such as `/users` and the paths below it.
#[derive(Debug)]
pub struct Tool {
    /// The file's name without its extension.
    pub name: String,
    pub resource: String,
    pub api: TargetApi,
    /// Sorted by path.
    pub operations: Vec<Operation>,
}

/// One API at one address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetApi {
    /// The base of tool names: `acme`.
    pub name: String,
    /// The prefix of variable names: `ACME`.
    pub prefix: String,
    /// The address in the input. A tool takes its address from the environment. It has no host if the input has none.
    pub address: String,
}

impl TargetApi {
    /// The name of the variable with the API's address.
    pub(crate) fn url_variable(&self) -> String {
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
    /// The body's media type as the input has it.
    pub media_type: Option<String>,
    /// Parts of the query that are the same in every request.
    pub fixed_query: Vec<(String, String)>,
    /// Fields of the JSON body that are the same in every request, each with its value as JSON.
    pub fixed_fields: Vec<(String, String)>,
    /// The field of the JSON body that has the nested inputs: `variables` of GraphQL.
    pub nested_in: Option<String>,
    /// Headers that have the same value in every request.
    pub constants: BTreeMap<String, String>,
    pub secrets: Vec<Secret>,
    /// The answer has `errors` if the request failed, whatever its status is.
    pub is_graphql: bool,
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// Text as it appears in the URL, percent-encoded.
    Literal(String),
    /// The parameter's name: `user-id`.
    Parameter(String),
    /// A parameter that has slashes of its own.
    Rest(String),
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
    Cookie,
    Form,
    /// A part of a multipart body.
    Part,
    /// A part of a multipart body that is JSON.
    JsonPart,
    /// A file in a multipart body.
    FilePart,
    /// A field of the JSON body that is a string.
    Text,
    /// A field of the JSON body of any other type. Its value is given as JSON.
    Json,
    /// The same as `Text` and `Json`, for the fields of [`Operation::nested_in`].
    NestedText,
    NestedJson,
    /// The JSON body as a whole.
    Whole,
    /// The body as a whole, as it is.
    Raw,
    /// The name of a file that has the body.
    RawFile,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyKind {
    None,
    Json,
    Form,
    Parts,
    Raw,
    /// JSON that is a parameter of the query.
    Query(String),
}

/// A value that comes from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    pub place: SecretPlace,
    pub variable: String,
    /// The request is not sent without it.
    pub required: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// `before` is the fixed text before the value, such as `Bearer `.
    Header {
        name: String,
        before: &'static str,
    },
    Cookie(String),
    Query(String),
    Form(String),
    Part(String),
    Json(String),
    Nested(String),
}

impl Place {
    /// The secret at this place.
    pub(super) fn secret(self, name: &str) -> SecretPlace {
        let name = name.to_owned();
        match self {
            Place::Query => SecretPlace::Query(name),
            Place::Header => SecretPlace::Header { name, before: "" },
            Place::Cookie => SecretPlace::Cookie(name),
            Place::Form => SecretPlace::Form(name),
            Place::Part | Place::JsonPart | Place::FilePart => SecretPlace::Part(name),
            Place::NestedText | Place::NestedJson => SecretPlace::Nested(name),
            Place::Text | Place::Json | Place::Whole | Place::Raw | Place::RawFile => SecretPlace::Json(name),
        }
    }
}

/// The path for people: `/users/USER_ID/usage`.
pub(super) fn shown_path(path: &[Piece]) -> String {
    path.iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Parameter(name) | Piece::Rest(name) => shown(name),
        })
        .collect()
}

/// The parameter `user-id` as help texts show it: `USER_ID`.
pub(super) fn shown(parameter: &str) -> String {
    parameter.replace('-', "_").to_ascii_uppercase()
}
