//! A Messages API that plays scripts instead of asking a model. The answer depends only on the request's messages,
//! apart from the counters of faults that happen a limited number of times. So it can be restarted in the middle of a
//! conversation. It also checks every request and rejects one that no correct client would send.

mod answer;
mod choose;
mod conversation;
mod directive;
mod failure;
mod glob;
mod invariants;
mod log;
mod schema;
mod script;
mod server;
mod sse;
mod template;

use std::io;
use std::sync::{Arc, Mutex, RwLock};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::invariants::Violation;
pub use self::log::{Credential, RecordedRequest};
pub use self::script::{ScriptError, Scripts};
use crate::serving::Serving;

/// The default API key.
pub const DEFAULT_KEY: &str = "sk-ant-scripted";

/// The scripts to play, and the rules for requests.
#[derive(Debug, Clone)]
pub struct ScriptedModel {
    pub scripts: Scripts,
    /// Accepted values of `x-api-key`.
    pub expected_keys: Vec<String>,
    /// Accepted values of `Authorization: Bearer`. Such requests also need `oauth-2025-04-20` in `anthropic-beta`.
    pub expected_tokens: Vec<String>,
    /// Texts that no request may contain in a header or in the body: secrets of others.
    pub forbidden: Vec<String>,
    pub memory: Memory,
}

/// The requests and violations that a model remembers for [`ModelHandle::requests`] and `/__requests`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The latest 256, with their bodies: up to 25 MB of a real client's.
    Latest,
    /// Only the count.
    None,
}

impl ScriptedModel {
    /// Plays `scripts` to callers that send [`DEFAULT_KEY`].
    pub fn new(scripts: Scripts) -> Self {
        Self {
            scripts,
            expected_keys: vec![DEFAULT_KEY.to_owned()],
            expected_tokens: Vec::new(),
            forbidden: Vec::new(),
            memory: Memory::Latest,
        }
    }

    /// Serves the built-in scripts on `listener`. Call it inside a tokio runtime.
    pub fn serve_builtin(listener: TcpListener) -> io::Result<ModelHandle> {
        Self::new(Scripts::builtin().map_err(io::Error::other)?).serve(listener)
    }

    /// Serves on `listener`. Call it inside a tokio runtime.
    pub fn serve(self, listener: TcpListener) -> io::Result<ModelHandle> {
        let stop = CancellationToken::new();
        let state = Arc::new(server::State {
            scripts: self.scripts,
            rules: RwLock::new(invariants::Rules {
                keys: self.expected_keys,
                tokens: self.expected_tokens,
                forbidden: self.forbidden,
            }),
            log: Mutex::new(log::Log::new(self.memory)),
            tries: Mutex::default(),
            stop: stop.clone(),
        });
        let serving = Serving::start(listener, server::router(Arc::clone(&state)), stop)?;
        Ok(ModelHandle { serving, state })
    }
}

/// A running scripted model. Dropping it stops it.
#[derive(Debug)]
pub struct ModelHandle {
    serving: Serving,
    state: Arc<server::State>,
}

impl ModelHandle {
    pub fn serving(&self) -> &Serving {
        &self.serving
    }

    pub fn url(&self) -> String {
        self.serving.url()
    }

    /// The number of model requests since the start or the last [`ModelHandle::reset`], including forgotten ones.
    pub fn request_count(&self) -> u64 {
        self.state.log().count()
    }

    /// The latest requests, oldest first. [`RecordedRequest`] documents their content.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.log().requests()
    }

    /// The latest violated invariants, oldest first. A test that expects none asserts that this is empty.
    pub fn violations(&self) -> Vec<Violation> {
        self.state.log().violations()
    }

    /// Makes every later request that contains `text` a violation.
    pub fn forbid(&self, text: &str) {
        self.state.rules_mut().forbidden.push(text.to_owned());
    }

    /// Accepts `key` as `x-api-key` too.
    pub fn expect_key(&self, key: &str) {
        self.state.rules_mut().keys.push(key.to_owned());
    }

    /// Accepts `token` as an OAuth bearer token too.
    pub fn expect_token(&self, token: &str) {
        self.state.rules_mut().tokens.push(token.to_owned());
    }

    /// Forgets requests, violations and the counters of limited faults.
    pub fn reset(&self) {
        self.state.reset();
    }
}
