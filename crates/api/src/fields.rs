//! Names of fields that a request has and its type does not. A misspelt limit would be no limit.

use domain::plain::unknown_name;
use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::ApiError;

/// Checks that `T` has all of these fields. `kind` names them in the error.
pub(crate) fn check<'a, T: DeserializeOwned>(
    kind: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), ApiError> {
    let known = fields_of::<T>();
    match names.into_iter().find(|name| !known.contains(name)) {
        Some(name) => Err(ApiError::invalid(unknown_name(kind, name, known))),
        None => Ok(()),
    }
}

/// The names of a structure's fields, as they are read.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It ends with an error, because it has no values.
    let _ = T::deserialize(Fields(&mut fields));
    fields
}

/// Has no values. It keeps the names that a structure's type asks for.
struct Fields<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("there are no values"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("this is not a structure"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
