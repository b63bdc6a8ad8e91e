//! The model and the credential that pays for it.

use domain::model::is_alias;
use gateway::{CredentialKind, CredentialState, Gateway, Prices};
use jiff::{SignedDuration, Timestamp};
use network_access::{NetworkAccess, NetworkError};

use super::Settings;
use super::check::{Check, in_words};

/// A login with less time left may expire within the next task. It is not renewed while the CLI does not run on the host.
const SHORT: SignedDuration = SignedDuration::from_mins(30);

const REMEDY: &str = "set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN in the environment or in .env, or log in with `claude` on \
                      this host; `claude-runner serve --scripted` needs none and answers with a scripted model";

pub(super) async fn look(settings: &Settings) -> Vec<Check> {
    let credential = match &settings.credentials {
        Ok(credentials) => credential(&credentials.state(), Timestamp::now()),
        Err(error) => {
            Check::fail("credential", in_words(error.as_ref()), "set it to what the console or `claude` gave you")
        }
    };
    let mut checks = vec![model(settings)];
    checks.extend(settings.model_api.1.as_ref().ok().and_then(|made| proxy(&made.network)));
    checks.extend([api(settings).await, credential]);
    checks
}

/// Names the settings of proxies that have no effect. `None` if there are none.
fn proxy(network: &NetworkAccess) -> Option<Check> {
    let warnings = network.warnings();
    let remedy = "correct or remove these settings; claude-runner and the programs that it starts use HTTPS_PROXY, HTTP_PROXY and NO_PROXY";
    (!warnings.is_empty()).then(|| Check::warn("proxy", warnings.join("; "), remedy))
}

fn model(settings: &Settings) -> Check {
    let model = &settings.model;
    match Prices::load(settings.model_prices.as_deref()) {
        Ok(_) if is_alias(model) => Check::ok("model", format!("{model}, which Claude Code resolves to a model")),
        Ok(prices) if prices.has_price(model) => Check::ok("model", format!("{model}, which has a price")),
        Ok(_) => Check::warn(
            "model",
            format!(
                "MODEL is {model}, which has no price in the built-in table or MODEL_PRICES; without one it is counted as the most expensive model"
            ),
            "check the name; add its price to a file that MODEL_PRICES names, or to the table at MODEL_PRICES_URL",
        ),
        Err(error) => {
            Check::fail("model", in_words(&error), "correct the file that MODEL_PRICES names, or leave it empty")
        }
    }
}

/// Checks that the API can be reached, without a request that would cost money.
async fn api(settings: &Settings) -> Check {
    const NAME: &str = "model-api";
    let (address, made) = &settings.model_api;
    let wrong = |problem| Check::fail(NAME, problem, "set ANTHROPIC_BASE_URL like https://api.anthropic.com");
    let made = match made {
        Ok(made) => made,
        Err(error) if error.is::<NetworkError>() => {
            return Check::fail(
                NAME,
                in_words(error.as_ref()),
                "correct HTTPS_PROXY, HTTP_PROXY or CA_FILE, or leave it out",
            );
        }
        Err(error) => return wrong(in_words(error.as_ref())),
    };
    if let Err(error) = Gateway::check(made) {
        return wrong(in_words(&error));
    }
    let by = if made.network.is_direct() { String::new() } else { format!(" ({})", made.network) };
    match Gateway::reach(made).await {
        Ok(()) => Check::ok(NAME, format!("requests go to {address}{by}")),
        Err(problem) => Check::warn(
            NAME,
            format!("{address} cannot be reached{by}: {problem}"),
            "check the network; a proxy is set by HTTPS_PROXY and NO_PROXY, and a private certificate authority by CA_FILE",
        ),
    }
}

/// Checks the credential without a request to the API.
fn credential(state: &CredentialState, now: Timestamp) -> Check {
    const NAME: &str = "credential";
    let left = state.expires_at.map(|at| at.duration_since(now));
    let kind = match state.kind {
        Some(CredentialKind::ApiKey) => "ANTHROPIC_API_KEY",
        Some(CredentialKind::OAuthToken) => "CLAUDE_CODE_OAUTH_TOKEN",
        Some(CredentialKind::Login) => "the login of Claude Code on this host",
        Some(CredentialKind::Scripted) => return scripted(),
        None => "none",
    };
    match (&state.usable, left) {
        (Ok(()), None) => Check::ok(NAME, format!("{kind}; its expiry is unknown")),
        (Ok(()), Some(left)) if left < SHORT => Check::warn(
            NAME,
            format!("{kind}, which expires in {}", in_time(left)),
            "run `claude` on this host, which renews it, or set CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token`)",
        ),
        (Ok(()), Some(left)) => Check::ok(NAME, format!("{kind}, which expires in {}", in_time(left))),
        (Err(_), Some(left)) if !left.is_positive() => {
            Check::fail(NAME, format!("{kind} expired {} ago", in_time(left.abs())), REMEDY)
        }
        (Err(sentence), _) => {
            // The sentence is made for `/ready`, where it contains the remedy.
            let problem = sentence.split("set ANTHROPIC_API_KEY").next().unwrap_or(sentence);
            Check::fail(NAME, problem.trim_end_matches([' ', ':', ';']), REMEDY)
        }
    }
}

/// SCRIPTED is meant for trying the server, so it is pointed out.
fn scripted() -> Check {
    Check::warn(
        "credential",
        "none is used: the scripted model answers, not Claude (SCRIPTED)",
        "leave SCRIPTED out and set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN, so that Claude answers",
    )
}

/// Formats a duration in its largest unit, which is precise enough here.
fn in_time(duration: SignedDuration) -> String {
    let minutes = duration.as_mins();
    let (number, unit) = match minutes {
        ..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / (24 * 60), "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::super::check::Status;
    use gateway::{CredentialKind, CredentialState};
    use network_access::{NetworkAccess, NetworkSettings};

    #[test]
    fn settings_of_proxies_without_an_effect_are_a_warning() {
        let check = |no_proxy: &str| {
            let settings = NetworkSettings {
                https_proxy: Some("http://p:1".to_owned()),
                no_proxy: no_proxy.to_owned(),
                ..NetworkSettings::default()
            };
            super::proxy(&NetworkAccess::new(&settings).unwrap())
        };
        assert_eq!(check("corp.example"), None);
        let warning = check("10.*,corp.example,192.168.*").unwrap();
        assert_eq!(warning.status, Status::Warn);
        assert!(
            warning.detail.contains("has 10.*,") && warning.detail.contains("has 192.168.*,"),
            "{}",
            warning.detail
        );
    }

    #[test]
    fn durations_are_told_in_their_largest_unit() {
        let told = |minutes| super::in_time(SignedDuration::from_mins(minutes));
        assert_eq!(
            [0, 1, 119, 120, 2879, 2880, 9000].map(told),
            ["0 minutes", "1 minute", "119 minutes", "2 hours", "47 hours", "2 days", "6 days"]
        );
    }

    #[test]
    fn a_login_is_judged_by_what_it_has_left() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let check = |minutes: i64| {
            let usable = if minutes > 0 { Ok(()) } else { Err("expired".to_owned()) };
            let expires_at = Some(now + SignedDuration::from_mins(minutes));
            super::credential(&CredentialState { kind: Some(CredentialKind::Login), usable, expires_at }, now)
        };
        assert_eq!(check(300).detail, "the login of Claude Code on this host, which expires in 5 hours");
        assert_eq!(check(300).status, Status::Ok);
        assert_eq!(check(29).status, Status::Warn);
        assert_eq!(check(-180).detail, "the login of Claude Code on this host expired 3 hours ago");
        assert_eq!(check(-180).status, Status::Fail);
    }
}
