//! What is a secret: by its name, and by how it looks.

use super::names::slug;

/// Words of a name that say so.
const WORDS: [&str; 22] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "apikey",
    "auth",
    "authorization",
    "authentication",
    "credential",
    "credentials",
    "signature",
    "sig",
    "csrf",
    "xsrf",
    "jwt",
    "bearer",
    "otp",
    "cookie",
    "sid",
    "hmac",
];
/// Two words after each other.
const PAIRS: [(&str, &str); 5] =
    [("api", "key"), ("access", "key"), ("private", "key"), ("client", "key"), ("session", "key")];
/// A token of these kinds says where a list goes on.
const PLACES_IN_LISTS: [&str; 5] = ["page", "next", "continuation", "sync", "cursor"];
/// With what well-known keys begin.
const BEGINNINGS: [&str; 11] =
    ["eyJ", "sk-", "sk_", "pk_", "rk_", "ghp_", "gho_", "github_pat_", "xox", "AKIA", "glpat-"];

/// A value shorter than this is not judged by its looks.
const MIN_LENGTH: usize = 20;
/// Bits a character. English words have about 3, random letters and digits more than 4.
const MIN_ENTROPY: f64 = 3.5;

/// Whether a field is one, in a query, a form or a JSON body.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    let name = slug(name);
    let words: Vec<&str> = name.split('-').collect();
    let last_is_token = words.last() == Some(&"token");
    if last_is_token && words.iter().any(|word| PLACES_IN_LISTS.contains(word)) {
        return false;
    }
    is_named(&words) || looks_secret(value)
}

/// As [`is_secret`] for a header, where a session is one too.
pub(super) fn is_secret_header(name: &str, value: &str) -> bool {
    let slug = slug(name);
    let words: Vec<&str> = slug.split('-').collect();
    is_named(&words) || words.contains(&"session") || words.contains(&"key") || looks_secret(value)
}

fn is_named(words: &[&str]) -> bool {
    let joined = words.concat();
    words.iter().any(|word| WORDS.contains(word))
        || words.windows(2).any(|pair| PAIRS.contains(&(pair[0], pair[1])))
        || ["apikey", "token", "secret", "password"].iter().any(|word| joined.contains(word))
}

/// A long string of letters and digits without a pattern. An id that looks like a UUID is none.
pub(super) fn looks_secret(value: &str) -> bool {
    let value = value.trim();
    if value.len() >= 12 && BEGINNINGS.iter().any(|beginning| value.starts_with(beginning)) {
        return true;
    }
    let shaped = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-.~:".contains(&byte));
    let mixed = value.bytes().any(|byte| byte.is_ascii_digit()) && value.bytes().any(|byte| byte.is_ascii_alphabetic());
    value.len() >= MIN_LENGTH && shaped && mixed && !is_uuid(value) && !is_time(value) && entropy(value) >= MIN_ENTROPY
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok()
}

fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length: f64 = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let of = |count: &u32| {
        let share = f64::from(*count) / length;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(of).sum()
}
