//! Attributes that several kinds of spans share.

use domain::usage::Usage;

use super::span::Value;

/// Token counts. By the semantic conventions, tokens read from or written to the cache are part of the input.
pub(super) fn of_usage(usage: &Usage) -> [(&'static str, Value); 4] {
    let cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens;
    [
        ("gen_ai.usage.input_tokens", (usage.input_tokens + cached).into()),
        ("gen_ai.usage.output_tokens", usage.output_tokens.into()),
        ("gen_ai.usage.cache_read.input_tokens", usage.cache_read_input_tokens.into()),
        ("gen_ai.usage.cache_creation.input_tokens", usage.cache_creation_input_tokens.into()),
    ]
}

const MAX_NAME_BYTES: usize = 128;

/// Returns the name of a model or a tool if it looks like a name, else `other`. It comes from the sandbox, so it could
/// be any text.
pub(super) fn name_like(name: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@[]".contains(&byte);
    let is_name = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits);
    if is_name { name.to_owned() } else { "other".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::name_like;

    #[test]
    fn only_names_are_named() {
        for name in ["claude-sonnet-4-6[1m]", "mcp__server__tool", "a/b:c@1.2", &"a".repeat(128)] {
            assert_eq!(name_like(name), name);
        }
        for text in ["", "a secret", "password=1", "naïve", "a\nb", &"a".repeat(129)] {
            assert_eq!(name_like(text), "other");
        }
    }
}
