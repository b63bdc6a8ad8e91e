//! The parameters of an operation.

use std::collections::BTreeMap;

use serde_json::Value;

use super::NOWHERE;
use super::operation::Found;
use super::schema::{Mark, Types};
use super::source::Source;
use crate::builder::Builder;
use crate::left_out::{LeftOut, Odd};
use crate::model::Place;
use crate::names::is_sayable;
use crate::secrets::{is_secret_header, is_secret_query};

/// Headers that the request has by itself. OpenAPI ignores parameters of these names.
const OWN_HEADERS: [&str; 4] = ["accept", "content-type", "content-length", "host"];

/// Adds options for the parameters of the path and of the operation.
pub(super) fn add(source: &Source<'_>, found: &Found<'_>, builder: &mut Builder<'_>, left_out: &mut LeftOut) {
    let mut parameters: BTreeMap<(String, String), &Value> = BTreeMap::new();
    let lists = [&found.item["parameters"], &found.operation["parameters"]];
    for (number, parameter) in lists.into_iter().filter_map(Value::as_array).flatten().enumerate() {
        let place = || format!("{}.parameters[{number}]", found.place);
        match source.resolved(parameter) {
            Ok(parameter) => match (parameter["in"].as_str(), parameter["name"].as_str()) {
                (Some(kind), Some(name)) if is_sayable(name) => {
                    parameters.insert((kind.to_owned(), name.to_owned()), parameter);
                }
                _ => left_out.add_odd(Odd::new("parameters without `name` or `in`", place())),
            },
            Err(reference) => left_out.add_odd(Odd::new(NOWHERE, format!("{}: {reference}", place()))),
        }
    }
    for ((kind, name), parameter) in parameters {
        let is_token = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let place = match kind.as_str() {
            "query" | "querystring" => Place::Query,
            "header" if is_token && !OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) => Place::Header,
            "cookie" if is_token => Place::Cookie,
            "header" | "cookie" => {
                if !is_token {
                    left_out.add_odd(Odd::new(
                        "parameters whose name cannot be sent",
                        format!("{}: {name:?}", found.place),
                    ));
                }
                continue;
            }
            _ => continue,
        };
        if place == Place::Query && add_fields(source, &name, parameter, builder) {
            continue;
        }
        add_one(source, &name, parameter, place, builder);
    }
}

fn add_one(source: &Source<'_>, name: &str, parameter: &Value, place: Place, builder: &mut Builder<'_>) {
    // Without a schema the type is that of 2.0, or unknown.
    let types = Types::of(source, &parameter["schema"]);
    let can_be_secret = types.is_empty() || types.is_text();
    let named = if place == Place::Query { is_secret_query(name) } else { is_secret_header(name) };
    let required = parameter["required"] == true;
    if can_be_secret && !types.is(Mark::Choice) && (named || types.is(Mark::Password)) {
        builder.secret(name, place, required);
    } else {
        builder.input(name, place, required, parameter["description"].as_str());
    }
}

/// Adds options for the fields of a parameter that is an object. Returns false if it is none.
fn add_fields(source: &Source<'_>, name: &str, parameter: &Value, builder: &mut Builder<'_>) -> bool {
    let fields = super::schema::fields(source, &parameter["schema"]);
    let style = parameter["style"].as_str().unwrap_or("form");
    let explodes = parameter["explode"].as_bool().unwrap_or(style == "form" || style == "deepObject");
    if fields.is_empty() || !explodes {
        return false;
    }
    for (field, schema) in &fields.of {
        let field_name = if style == "deepObject" { format!("{name}[{field}]") } else { field.clone() };
        let required = parameter["required"] == true && fields.required.contains(field);
        builder.input(&field_name, Place::Query, required, schema["description"].as_str());
    }
    true
}
