//! The server's log and its audit log, and the secrets that are masked in both.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::Context as _;
use observe::audit::{self, AuditFile};
use observe::redact::{LogWriter, Redactor};
use secrecy::ExposeSecret as _;
use store::make_directory;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{self, LogFormat, ServeOptions};

/// bollard logs whole request bodies at debug, environment included. refinery logs each migration, and the scripted model each
/// request. The verifier logs each rejected certificate as an error; the request's error already reports it.
const QUIET: [&str; 4] = ["bollard=info", "mock_api=warn", "refinery_core=warn", "rustls_platform_verifier=off"];

/// Masks the operator's secrets from the configuration. The tokens of the login are added whenever it is read.
pub(super) fn learn_secrets(redactor: &Redactor, options: &mut ServeOptions) {
    let credentials = [&options.anthropic_api_key, &options.claude_code_oauth_token, &options.github_token];
    for secret in credentials.into_iter().flatten() {
        redactor.learn(secret.expose_secret().trim());
    }
    // Settings that cannot be used stop the start, and their error does not contain them.
    for password in options.network.access(config::variable).map(|network| network.passwords()).unwrap_or_default() {
        redactor.learn(&password);
    }
    for secret in options.api_keys.take_secrets() {
        redactor.learn(secret.expose_secret().trim());
    }
    for secret in options.webhook_secret.each() {
        redactor.learn(secret.text().expose_secret());
    }
}

/// Sends the log to stderr, from `level` on unless RUST_LOG sets other levels, and the audit log to its file.
pub(super) fn set_up_logs(options: &ServeOptions, redactor: &Arc<Redactor>, level: &str) -> anyhow::Result<()> {
    let filter = config::variable("RUST_LOG").and_then(|directives| EnvFilter::try_new(directives).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(level));
    let filter = QUIET.iter().filter_map(|directive| directive.parse().ok()).fold(filter, EnvFilter::add_directive);
    let audit_file = options.audit_log();
    let elsewhere = audit_file.is_some();
    let log = tracing_subscriber::fmt::layer().with_writer(LogWriter(Arc::clone(redactor)));
    let log = match options.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).boxed(),
        // The audit log has the same form.
        LogFormat::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    let log = log
        .with_filter(filter)
        .with_filter(filter_fn(move |metadata| !(elsewhere && metadata.target() == audit::TARGET)));
    let audit = match audit_file {
        None => None,
        Some(path) => {
            let (retention, redactor) = (options.audit_retention(), Arc::clone(redactor));
            let made = path.parent().map_or(Ok(()), make_directory);
            let opened = made.and_then(|()| AuditFile::open(&path, retention, redactor));
            Some(audit::layer(opened.with_context(|| {
                let setting = if options.audit_log.is_some() { "AUDIT_LOG" } else { "DATA_DIR" };
                format!("{setting} cannot be used: could not open the audit log {}", path.display())
            })?))
        }
    };
    tracing_subscriber::registry().with(log).with(audit).init();
    Ok(())
}
