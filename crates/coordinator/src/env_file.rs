//! Variables of `.env` whose names are close to a setting's: probably misspelt, and then without effect.

use std::collections::BTreeSet;

use clap::Command;

use crate::config::{EnvFile, EnvFileError, QUOTES};

/// Variables without a flag: of scripts/run, of Compose, and of libraries.
const OTHERS: [&str; 16] = [
    "COORDINATOR_IMAGE",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_SOCKET",
    "FORGE_PORT",
    "MOCK_API_PORT",
    "MOCK_API_TOKEN",
    "NO_COLOR",
    "PUBLISH_ADDRESS",
    "RUST_LOG",
    "SCRIPTED_MODEL_PORT",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The beginning of variables that a library reads. There are dozens.
const OTEL: &str = "OTEL_";

/// Names that other programs have for our settings.
const ALIASES: [(&str, &str); 4] = [
    ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"),
    ("ANTHROPIC_TOKEN", "ANTHROPIC_API_KEY"),
    ("CLAUDE_API_KEY", "ANTHROPIC_API_KEY"),
    ("GH_TOKEN", "GITHUB_TOKEN"),
];

/// Two names this similar are probably the same one (Damerau-Levenshtein, 0 to 1): ANTHROPIC_KEY and ANTHROPIC_API_KEY are, DATA_PATH and
/// DATA_DIR are not.
const SIMILAR: f64 = 0.73;

/// Returns a sentence for each variable of `.env` that is not, but nearly, a setting of `command`, and for each line that is left out.
/// Other variables may be anybody's. The line of a setting must be readable.
pub(super) fn examine(file: &EnvFile, command: &Command) -> Result<Vec<String>, EnvFileError> {
    let mut known: BTreeSet<String> = OTHERS.map(str::to_owned).into();
    collect(command, &mut known);
    let near = |name: &str| nearest(name, &known);
    let is_setting = |name: &String| known.contains(name) || near(name).is_some();
    if let Some(line) = file.unreadable.iter().find(|line| line.name.as_ref().is_some_and(is_setting)) {
        return Err(EnvFileError::Line(line.clone()));
    }
    let unknown = file.variables.iter().filter(|name| !known.contains(*name) && !name.starts_with(OTEL));
    let misspelt = unknown
        .filter_map(|name| Some((name, near(name)?)))
        .map(|(name, near)| format!("{name} in .env is not a setting and is ignored; did you mean {near}?"));
    let left_out = file.unreadable.iter().map(|line| format!(".env: {line} is left out: {QUOTES}"));
    let incomplete = file.incomplete.iter().map(|name| {
        format!("{name} in .env lacks a part: `$` begins the name of a variable, and that one is not set; {QUOTES}")
    });
    Ok(misspelt.chain(left_out).chain(incomplete).collect())
}

fn nearest<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    if let Some((_, meant)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return known.get(*meant).map(String::as_str);
    }
    let plain = |name: &str| name.replace('_', "").to_ascii_uppercase();
    let similarity = |known: &str| {
        if plain(name) == plain(known) {
            1.0
        } else {
            strsim::normalized_damerau_levenshtein(&name.to_ascii_uppercase(), known)
        }
    };
    let similarities = known.iter().map(|known| (similarity(known), known.as_str()));
    let (best, near) = similarities.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    let differs_in_form = plain(name) == plain(near);
    let differs_by_a_letter = strsim::damerau_levenshtein(name, near) == 1 && words(name).next() == words(near).next();
    if best >= SIMILAR && (differs_in_form || name.len() > SHORT || differs_by_a_letter) {
        return Some(near);
    }
    known.iter().map(String::as_str).find(|known| has_words_of(name, known) || has_words_of(known, name))
}

/// A name this short differs from many others by one letter.
const SHORT: usize = 8;

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split('_')
}

/// Returns true if the longer name has all words of the shorter one, which are at least two, and begins with the same one.
fn has_words_of(shorter: &str, longer: &str) -> bool {
    words(shorter).count() >= 2
        && words(shorter).next() == words(longer).next()
        && words(shorter).all(|word| words(longer).any(|other| other == word))
}

fn collect(command: &Command, known: &mut BTreeSet<String>) {
    let variables = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    known.extend(variables.map(str::to_owned));
    for below in command.get_subcommands() {
        collect(below, known);
    }
}

#[cfg(test)]
mod tests {
    use super::examine;
    use crate::config::{EnvFile, EnvFileError, UnreadableLine};

    #[test]
    fn a_misspelt_setting_is_named_and_others_pass() {
        let of = |name: &str| {
            let file = EnvFile { variables: [name.to_owned()].into(), ..EnvFile::default() };
            examine(&file, &crate::commands::command()).unwrap()
        };
        for (name, near) in [
            ("ANTHROPIC_APIKEY", "ANTHROPIC_API_KEY"),
            ("ANTHROPIC_KEY", "ANTHROPIC_API_KEY"),
            ("CLAUDE_CODE_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
            ("MAX_DAY_COST", "MAX_DAY_COST_USD"),
            ("SANDBOX_MEM", "SANDBOX_MEMORY"),
            ("API_KEY", "API_KEYS"),
            ("agent_dir", "AGENT_DIR"),
            ("CLAUDE_RUNNER_URI", "CLAUDE_RUNNER_URL"),
            ("ANTHROPIC_URL", "ANTHROPIC_BASE_URL"),
            ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"),
            ("GITHUB_APP_KEY_FILE", "GITHUB_APP_PRIVATE_KEY_FILE"),
        ] {
            let expected = format!("{name} in .env is not a setting and is ignored; did you mean {near}?");
            assert_eq!(of(name), [expected]);
        }
        let others = "PORT DATABASE_URL HOSTNAME OPENAI_API_KEY OTEL_SERVICE_NAME GITHUB_USER RUST_LOG X AGENT_ID MODE POST API_URL";
        for other in others.split(' ') {
            assert!(of(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_matters_if_it_is_a_settings() {
        let of = |name: &str| {
            let line = UnreadableLine { number: 1, name: Some(name.to_owned()) };
            let file = EnvFile { unreadable: vec![line], ..EnvFile::default() };
            examine(&file, &crate::commands::command())
        };
        assert!(matches!(of("API_KEYS"), Err(EnvFileError::Line(_))));
        assert!(matches!(of("API_KEY"), Err(EnvFileError::Line(_))));
        assert!(of("GREETING").unwrap()[0].contains("left out"));
    }
}
