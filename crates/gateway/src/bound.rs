//! The upper bound on a model request's usage, derived from its body.

use super::tokens::TokenCounts;

/// The certainty of a request's estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The estimate is an upper bound on the request's cost.
    Bounded,
    /// The cost has no known bound: no other request on an account with a limit begins while this one is open.
    Unbounded,
}

/// The parts of a request's body that decide how much it can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Images in base64, and their bytes in the body.
    pub(super) images: u64,
    /// Documents that are not plain text.
    pub(super) documents: u64,
    /// Bytes of the body that are images or documents.
    pub(super) attached_bytes: u64,
    /// All tools that the request offers.
    pub(super) tools: u64,
    /// Tools whose definition the API adds to the prompt.
    pub(super) api_tools: u64,
    /// Tools that the API runs itself, within the request.
    pub(super) server_tools: u64,
    /// Those of them that search the web, at a price for each search.
    pub(super) search_tools: u64,
    /// The most uses that the request allows for one of them.
    pub(super) max_uses: u64,
    /// Fields of the request that this version does not know.
    pub(super) unknown_fields: u64,
}

/// The upper bound on a request's usage, and whether it is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) most: TokenCounts,
    pub(super) certainty: Certainty,
}

/// The largest image counts 4,784 tokens, however few bytes it has (the API's documentation, "Vision").
const IMAGE_TOKENS: u64 = 5_000;
/// A document's tokens do not follow from its bytes. This bound fits a long one: a hundred pages of text and their images.
const DOCUMENT_TOKENS: u64 = 300_000;
/// The API's own instructions for the use of tools have up to 700 tokens, and the definition of one of its tools has as many (its
/// documentation, "Pricing", and the pages of the tools).
const TOOL_TOKENS: u64 = 2_000;
/// The uses of a tool at the API in a request without a limit, and the tokens of one result. The API does not document the latter.
const USES: u64 = 10;
const MAX_USES: u64 = 100;
const RESULT_TOKENS: u64 = 20_000;
/// No model writes more in one answer. The API is expected to refuse a request that asks for more.
const MAX_OUTPUT_TOKENS: u64 = 1 << 20;

impl Bound {
    /// `output_tokens` is the answer's maximum according to the request. `None`: the request does not state it.
    pub(super) fn of(body_bytes: usize, contents: &Contents, output_tokens: Option<u64>) -> Bound {
        let Contents { images, documents, attached_bytes, tools: _, api_tools, server_tools, .. } = *contents;
        let Contents { search_tools, max_uses, unknown_fields, .. } = *contents;
        // A token has at least one byte, and JSON is never shorter than the text in it.
        let text = (body_bytes as u64).saturating_sub(attached_bytes);
        let instructions = TOOL_TOKENS.saturating_mul(api_tools + 1);
        let attached = IMAGE_TOKENS.saturating_mul(images) + DOCUMENT_TOKENS.saturating_mul(documents);
        let prompt = text + instructions + attached;
        let uses = if server_tools > 0 { USES.max(max_uses).min(MAX_USES) } else { 0 };
        // After each use the model reads the prompt again, with all results so far.
        let read_again = uses * prompt + RESULT_TOKENS * uses * (uses + 1) / 2;
        let most = TokenCounts {
            // At most, all new parts of a prompt are written to the cache for an hour, which is the most expensive kind.
            cache_write_1h: prompt,
            input: read_again,
            output: output_tokens.unwrap_or(MAX_OUTPUT_TOKENS).min(MAX_OUTPUT_TOKENS),
            web_searches: if search_tools > 0 { uses } else { 0 },
            // A workspace can be restricted to one region without a field in the request.
            regional: true,
            ..TokenCounts::default()
        };
        let is_bounded = documents == 0 && server_tools == 0 && unknown_fields == 0 && output_tokens.is_some();
        Bound { most, certainty: if is_bounded { Certainty::Bounded } else { Certainty::Unbounded } }
    }
}
