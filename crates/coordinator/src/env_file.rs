//! Variables of `.env` whose names are close to a setting's: probably misspelt, and then without effect.

use std::collections::BTreeSet;

use clap::Command;

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

/// Two names this similar are probably the same one (Damerau-Levenshtein, 0 to 1): ANTHROPIC_KEY and ANTHROPIC_API_KEY are, DATA_PATH and
/// DATA_DIR are not.
const SIMILAR: f64 = 0.73;

/// A sentence for each variable of `.env` that is not, but nearly, a setting of `command`. Other variables may be anybody's.
pub(super) fn warnings(variables: &[String], command: &Command) -> Vec<String> {
    let mut known: BTreeSet<String> = OTHERS.map(str::to_owned).into();
    collect(command, &mut known);
    let unknown = variables.iter().filter(|name| !known.contains(*name) && !name.starts_with(OTEL));
    unknown
        .filter_map(|name| Some((name, nearest(name, &known)?)))
        .map(|(name, near)| format!("{name} in .env is not a setting and is ignored; did you mean {near}?"))
        .collect()
}

fn nearest<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
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
    (best >= SIMILAR).then_some(near)
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
    use super::warnings;

    #[test]
    fn a_misspelt_setting_is_named_and_others_pass() {
        let of = |name: &str| warnings(&[name.to_owned()], &crate::commands::command());
        for (name, near) in [
            ("ANTHROPIC_APIKEY", "ANTHROPIC_API_KEY"),
            ("ANTHROPIC_KEY", "ANTHROPIC_API_KEY"),
            ("CLAUDE_CODE_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
            ("MAX_DAY_COST", "MAX_DAY_COST_USD"),
            ("SANDBOX_MEM", "SANDBOX_MEMORY"),
            ("API_KEY", "API_KEYS"),
            ("agent_dir", "AGENT_DIR"),
            ("CLAUDE_RUNNER_URI", "CLAUDE_RUNNER_URL"),
        ] {
            let expected = format!("{name} in .env is not a setting and is ignored; did you mean {near}?");
            assert_eq!(of(name), [expected]);
        }
        for other in
            ["PORT", "DATABASE_URL", "HOSTNAME", "OPENAI_API_KEY", "OTEL_SERVICE_NAME", "GITHUB_USER", "RUST_LOG", "X"]
        {
            assert!(of(other).is_empty(), "{other}");
        }
    }
}
