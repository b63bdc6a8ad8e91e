//! Detects secrets by their name and by their value.

use super::names::slug;

/// Words at the end of a name that mark a secret.
const WORDS: [&str; 23] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "passcode",
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
    "hmac",
    "sessionid",
];
/// Pairs of adjacent words at the end of a name that mark a secret.
const PAIRS: [(&str, &str); 8] = [
    ("api", "key"),
    ("access", "key"),
    ("private", "key"),
    ("client", "key"),
    ("session", "key"),
    ("session", "id"),
    ("secret", "key"),
    ("auth", "key"),
];
/// Endings of words that mark a secret, for names without a separator: `accesstoken`.
const ENDINGS: [&str; 5] = ["apikey", "token", "secret", "password", "passwd"];
/// Words after the secret's word that change nothing: `passwordConfirmation`, `secret_code`.
const TAILS: [&str; 18] = [
    "value",
    "header",
    "confirm",
    "confirmation",
    "repeat",
    "repeated",
    "again",
    "verify",
    "verification",
    "code",
    "key",
    "string",
    "phrase",
    "word",
    "text",
    "base64",
    "encoded",
    "encrypted",
];
/// First words that make the name a property of a secret, or a number: `has_password`, `max_token`.
const PROPERTIES: [&str; 19] = [
    "is", "has", "needs", "require", "requires", "use", "uses", "enable", "with", "without", "max", "min", "num",
    "number", "count", "total", "allow", "show", "per",
];
/// Words that make a token a position in a list or in a text, not a secret.
const POSITIONS: [&str; 20] = [
    "page",
    "paging",
    "pagination",
    "next",
    "prev",
    "previous",
    "continuation",
    "continue",
    "sync",
    "delta",
    "skip",
    "start",
    "starting",
    "resume",
    "cursor",
    "after",
    "before",
    "stop",
    "eos",
    "pad",
];
/// Names whose values are often long and random, but no secret.
const PLAIN_NAMES: [&str; 18] = [
    "id", "ids", "uuid", "guid", "hash", "sha", "sha1", "sha256", "etag", "checksum", "digest", "query", "q", "search",
    "filter", "url", "uri", "commit",
];
/// Headers that end in `key` and are no secret.
const PLAIN_KEYS: [&str; 12] = [
    "idempotency",
    "cache",
    "sort",
    "partition",
    "surrogate",
    "routing",
    "primary",
    "dedup",
    "correlation",
    "request",
    "trace",
    "object",
];
/// Prefixes of well-known kinds of keys.
const BEGINNINGS: [&str; 11] =
    ["eyJ", "sk-", "sk_", "pk_", "rk_", "ghp_", "gho_", "github_pat_", "xox", "AKIA", "glpat-"];

/// A shorter value is not judged by its characters.
const MIN_LENGTH: usize = 20;
/// Minimum entropy in bits per character. English words have about 3, random letters and digits more than 4.
const MIN_ENTROPY: f64 = 3.5;

/// The kind of a secret, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedSecret {
    /// `session_id`: a credential in a cookie, but the key of a resource in the body of many APIs.
    Session,
    /// `signature`: a proof in a URL, but often the text below a message in a body.
    Signature,
    Other,
}

/// True if a recorded field of a query, a form or a JSON body is a secret by its name. The last word decides:
/// `max_tokens`, `token_type` and `password_policy` are none.
pub(super) fn is_secret_name(name: &str) -> bool {
    named_secret(name).is_some()
}

/// True if a parameter of a documented query is a secret by its name. The agent has to choose a session's id.
pub(super) fn is_secret_query(name: &str) -> bool {
    matches!(named_secret(name), Some(NamedSecret::Signature | NamedSecret::Other))
}

/// True if a field of a documented body is a secret by its name. The agent has to write a signature.
pub(super) fn is_secret_field(name: &str) -> bool {
    named_secret(name) == Some(NamedSecret::Other)
}

fn named_secret(name: &str) -> Option<NamedSecret> {
    let name = slug(name);
    let mut words: Vec<&str> =
        name.split('-').map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit())).collect();
    words.retain(|word| !word.is_empty());
    let is_pair = |words: &[&str]| matches!(words, [.., first, second] if PAIRS.contains(&(*first, *second)));
    let is_property = words.first().is_some_and(|first| words.len() > 1 && PROPERTIES.contains(first));
    if is_property || words.iter().any(|word| POSITIONS.contains(word)) {
        return None;
    }
    if !is_pair(&words) {
        while words.len() > 1 && words.last().is_some_and(|last| TAILS.contains(last)) {
            words.pop();
        }
    }
    let last = words.last().copied().unwrap_or_default();
    let ends = |word: &str| WORDS.contains(&word) || ENDINGS.iter().any(|ending| word.ends_with(ending));
    match words[..] {
        [.., "session", "id"] | [.., "sessionid"] => Some(NamedSecret::Session),
        [.., "signature"] => Some(NamedSecret::Signature),
        ["sid"] => Some(NamedSecret::Other),
        _ => (ends(last) || is_pair(&words)).then_some(NamedSecret::Other),
    }
}

/// True if the value of a field of a query, a form or a JSON body is a secret, although its name is not.
pub(super) fn is_secret_value(name: &str, value: &str) -> bool {
    let name = slug(name);
    let is_plain = |word: &str| PLAIN_NAMES.contains(&word) || POSITIONS.contains(&word);
    !name.split('-').any(is_plain) && looks_secret(value)
}

/// True if a header is a secret by its name. In a header, `session` and `key` mark a secret too.
pub(super) fn is_secret_header(name: &str) -> bool {
    let slug = slug(name);
    let words: Vec<&str> = slug.split('-').collect();
    let is_key = words.last() == Some(&"key") && !words.iter().any(|word| PLAIN_KEYS.contains(word));
    is_secret_name(name) || is_key || words.last() == Some(&"session")
}

/// True if a name has the word of a secret anywhere. The value of such a header is not copied.
pub(super) fn sounds_secret(name: &str) -> bool {
    let name = slug(name);
    let joined = name.replace('-', "");
    let is_word = |word: &str| WORDS.contains(&word) || ["session", "key", "sid"].contains(&word);
    name.split('-').any(is_word) || ENDINGS.iter().any(|ending| joined.contains(ending))
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

#[cfg(test)]
mod tests {
    use super::{is_secret_field, is_secret_header, is_secret_name, is_secret_query};

    #[test]
    fn a_documented_session_id_is_no_secret_outside_of_headers() {
        for (name, in_header, in_query, in_body) in [
            ("sessionId", true, false, false),
            ("parent_session_id", true, false, false),
            ("sessionid", true, false, false),
            ("signature", true, true, false),
            ("emailSignatureText", true, true, false),
            ("session_key", true, true, true),
            ("api_key", true, true, true),
            ("sig", true, true, true),
        ] {
            let found = (is_secret_header(name), is_secret_query(name), is_secret_field(name));
            assert_eq!(found, (in_header, in_query, in_body), "{name}");
            assert!(is_secret_name(name), "{name}: recorded values stay secret");
        }
    }

    #[test]
    fn the_last_word_of_a_name_decides() {
        for name in [
            "token",
            "access_token",
            "authToken",
            "accesstoken",
            "api_key",
            "apiKey",
            "x-api-key",
            "password",
            "newPassword2",
            "password_confirmation",
            "client_secret",
            "secretCode",
            "secret_access_key",
            "otp_code",
            "authorization_code",
            "X-CSRF-Token",
            "__RequestVerificationToken",
            "sid",
            "session_id",
            "signature",
            "resetToken",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "max_tokens",
            "maxTokens",
            "max_token",
            "tokens",
            "token_count",
            "token_type",
            "tokenizer",
            "page_token",
            "nextPageToken",
            "continuation_token",
            "has_password",
            "password_policy",
            "password_min_length",
            "secret_name",
            "secretary",
            "author",
            "authors",
            "auth_type",
            "author_id",
            "cookie_consent",
            "signature_required",
            "account_sid",
            "key",
            "keyboard",
            "monkey",
            "stop_token",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
        for (header, is_secret) in [
            ("X-Api-Key", true),
            ("X-Key", true),
            ("X-Session", true),
            ("Authorization", true),
            ("Idempotency-Key", false),
            ("X-Cache-Key", false),
            ("X-Session-Timeout", false),
            ("X-Max-Tokens", false),
        ] {
            assert_eq!(is_secret_header(header), is_secret, "{header}");
        }
    }
}
