//! Builds one operation: gives every option a unique name, and takes secrets from the environment.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{BodyKind, Input, Operation, Piece, Place, Secret, SecretPlace, TargetApi};
use super::names::{slug, unique, variable};

pub(super) struct Builder<'a> {
    pub(super) api: &'a TargetApi,
    pub(super) made: Operation,
    taken: BTreeSet<String>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(api: &'a TargetApi, name: String, method: &str, path: Vec<Piece>) -> Self {
        let made = Operation {
            name,
            method: method.to_ascii_uppercase(),
            path,
            summary: None,
            inputs: Vec::new(),
            body: BodyKind::None,
            media_type: None,
            fixed_query: Vec::new(),
            fixed_fields: Vec::new(),
            nested_in: None,
            constants: BTreeMap::new(),
            secrets: Vec::new(),
            is_graphql: false,
        };
        Builder { api, made, taken: BTreeSet::new() }
    }

    pub(super) fn input(&mut self, name: &str, place: Place, required: bool, about: Option<&str>) {
        let option = unique(&slug(name), &mut self.taken);
        let about = about.map(str::to_owned);
        self.made.inputs.push(Input { name: name.to_owned(), option, place, required, about });
    }

    /// Takes the value at this place from the environment.
    pub(super) fn secret(&mut self, name: &str, place: Place, required: bool) {
        let variable = variable(&self.api.prefix, name);
        self.credential(Secret { place: place.secret(name), variable, required });
    }

    /// Adds a secret, unless there is one at its place.
    pub(super) fn credential(&mut self, secret: Secret) {
        let same = |other: &Secret| match (&other.place, &secret.place) {
            (SecretPlace::Header { name, .. }, SecretPlace::Header { name: new, .. }) => name.eq_ignore_ascii_case(new),
            (other, new) => other == new,
        };
        if !self.made.secrets.iter().any(same) {
            self.made.secrets.push(secret);
        }
    }

    /// Takes the whole body from options: its text, or the name of a file.
    pub(super) fn raw_body(&mut self, required: bool) {
        self.made.body = BodyKind::Raw;
        self.input("body", Place::Raw, required, Some("the body as it is sent"));
        self.input("body-file", Place::RawFile, false, Some("a file with the body, or - for the standard input"));
    }

    /// Takes the whole JSON body from an option.
    pub(super) fn whole_body(&mut self, required: bool) {
        self.made.body = BodyKind::Json;
        self.input("body", Place::Whole, required, Some("the whole body"));
    }
}
