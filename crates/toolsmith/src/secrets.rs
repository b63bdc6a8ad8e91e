//! Detects secrets by their name and by their value.

use super::names::slug;

/// Words in a name that mark a secret.
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
/// Pairs of adjacent words that mark a secret.
const PAIRS: [(&str, &str); 5] =
    [("api", "key"), ("access", "key"), ("private", "key"), ("client", "key"), ("session", "key")];
/// Words that make a token a paging position, not a secret.
const PLACES_IN_LISTS: [&str; 5] = ["page", "next", "continuation", "sync", "cursor"];
/// Prefixes of well-known kinds of keys.
const BEGINNINGS: [&str; 11] =
    ["eyJ", "sk-", "sk_", "pk_", "rk_", "ghp_", "gho_", "github_pat_", "xox", "AKIA", "glpat-"];

/// A shorter value is not judged by its characters.
const MIN_LENGTH: usize = 20;
/// Minimum entropy in bits per character. English words have about 3, random letters and digits more than 4.
const MIN_ENTROPY: f64 = 3.5;

/// True if a field of a query, a form or a JSON body is a secret.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    let name = slug(name);
    let words: Vec<&str> = name.split('-').collect();
    let last_is_token = words.last() == Some(&"token");
    if last_is_token && words.iter().any(|word| PLACES_IN_LISTS.contains(word)) {
        return false;
    }
    is_named(&words) || looks_secret(value)
}

/// The same as [`is_secret`] for a header. In a header, `session` and `key` mark a secret too.
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

/// True for a long string of letters and digits without a pattern. A UUID is an id, not a secret.
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
