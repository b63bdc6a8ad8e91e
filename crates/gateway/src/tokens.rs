//! The `usage` of the Messages API's answers.

use domain::usage::Usage;
use serde::Deserialize;

/// Tokens of one answer, split as they are priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TokenCounts {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_write_5m: u64,
    pub(super) cache_write_1h: u64,
    pub(super) cache_read: u64,
    pub(super) web_searches: u64,
}

impl TokenCounts {
    /// All tokens of the prompt, which decide whether it counts as a long one.
    pub(super) fn prompt(&self) -> u64 {
        [self.cache_write_5m, self.cache_write_1h, self.cache_read].iter().fold(self.input, |a, b| a.saturating_add(*b))
    }

    /// Takes over a later statement of the same answer. Its figures are cumulative, and any may be left out; none goes
    /// down, so that the meter never runs backwards.
    pub(super) fn update(&mut self, stated: &StatedUsage) {
        let raise = |value: &mut u64, stated: Option<u64>| *value = (*value).max(stated.unwrap_or(0).min(MAX_TOKENS));
        raise(&mut self.input, stated.input_tokens);
        raise(&mut self.output, stated.output_tokens);
        raise(&mut self.cache_read, stated.cache_read_input_tokens);
        raise(&mut self.web_searches, stated.server_tool_use.as_ref().and_then(|tools| tools.web_search_requests));
        let split = stated.cache_creation.as_ref();
        raise(&mut self.cache_write_5m, split.and_then(|split| split.ephemeral_5m_input_tokens));
        raise(&mut self.cache_write_1h, split.and_then(|split| split.ephemeral_1h_input_tokens));
        // What the split does not explain was written with the default lifetime.
        let written = stated.cache_creation_input_tokens.unwrap_or(0).min(MAX_TOKENS);
        raise(&mut self.cache_write_5m, Some(written.saturating_sub(self.cache_write_1h)));
    }

    /// The same in the words of our API, as one answered request.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.input,
            output_tokens: self.output,
            cache_creation_input_tokens: self.cache_write_5m.saturating_add(self.cache_write_1h),
            cache_read_input_tokens: self.cache_read,
            requests: 1,
        }
    }
}

/// No answer has more: a figure above this is nonsense that must not overflow the sums.
const MAX_TOKENS: u64 = 1 << 32;

/// `usage` as the API sends it, whole in a JSON answer and in `message_start`, in part in `message_delta`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct StatedUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    server_tool_use: Option<ServerToolUse>,
}

#[derive(Debug, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct ServerToolUse {
    web_search_requests: Option<u64>,
}
