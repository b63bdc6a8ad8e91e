//! Names of models: their form, and the model behind the spelling of a platform.
//!
//! A name is never compared with a list of known ones, because the model API knows models that are newer than this program.

use std::borrow::Cow;

/// Short names that Claude Code itself resolves to a model, with or without a suffix like `[1m]`.
const ALIASES: [&str; 7] = ["best", "default", "fable", "haiku", "opus", "opusplan", "sonnet"];

/// The words in Anthropic's model names that name the family.
const FAMILIES: [&str; 5] = ["fable", "haiku", "mythos", "opus", "sonnet"];

/// The longest names are ARNs of Amazon Bedrock, with about 150 characters.
const MAX_CHARS: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a model's name has 1 to 256 letters, digits and characters of `-._:/@+=~`; it begins with a letter, a digit or `@`, and a \
     suffix like [1m] may follow"
)]
pub struct InvalidModelName;

/// Checks the form of a name. The model API decides whether there is such a model.
pub fn check_model_name(name: &str) -> Result<(), InvalidModelName> {
    let base = without_suffix(name);
    let suffix = name[base.len()..].strip_prefix('[').and_then(|suffix| suffix.strip_suffix(']'));
    let begins_well = base.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '@');
    let is_valid = begins_well
        && name.len() <= MAX_CHARS
        && base.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/@+=~".contains(&byte))
        && suffix.is_none_or(|suffix| !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if is_valid { Ok(()) } else { Err(InvalidModelName) }
}

/// Returns true for a short name that Claude Code resolves itself. It ignores the case of these.
pub fn is_alias(name: &str) -> bool {
    let name = without_suffix(name).to_ascii_lowercase();
    ALIASES.contains(&name.as_str())
}

/// Removes a suffix: `claude-sonnet-4-6[1m]` → `claude-sonnet-4-6`
pub fn without_suffix(name: &str) -> &str {
    match name.split_once('[') {
        Some((base, rest)) if rest.ends_with(']') => base,
        _ => name,
    }
}

/// Removes the last part of `claude-sonnet-4-5-20250929` and `claude-3-5-haiku-latest`
pub fn without_date(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((base, last)) if last == "latest" || last.len() == 8 && is_number(last) => base,
        _ => name,
    }
}

/// Returns the API's own name of a Claude model, with its date if it has one, for a name of Amazon Bedrock, Google Vertex AI or a
/// gateway. Other names stay as they are, without their suffix.
///
/// | given | returned |
/// |---|---|
/// | `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, also as the end of an ARN | `claude-sonnet-4-5-20250929` |
/// | `bedrock/anthropic.claude-opus-4-6-v1` | `claude-opus-4-6` |
/// | `claude-haiku-4-5@20251001`, `vertex_ai/claude-haiku-4-5@20251001` | `claude-haiku-4-5-20251001` |
/// | `openrouter/anthropic/claude-sonnet-4.5` | `claude-sonnet-4-5` |
pub fn first_party(name: &str) -> Cow<'_, str> {
    let name = without_suffix(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    let (region, model) = last.rsplit_once("anthropic.").unwrap_or(("", last));
    let is_region = region.is_empty() || region.ends_with('.');
    if !is_region || !model.starts_with("claude-") {
        return Cow::Borrowed(name);
    }
    let (model, date) = match model.split_once('@') {
        Some((model, date)) if date.len() == 8 && is_number(date) => (model, Some(date)),
        Some((model, "default" | "latest")) => (model, None),
        Some(_) => return Cow::Borrowed(name),
        None => (model, None),
    };
    let model = with_hyphens(without_version(model));
    match date {
        Some(date) => Cow::Owned(format!("{model}-{date}")),
        None => model,
    }
}

/// The beginnings of the names of clouds' regions, such as `us-east-1` and `europe-west1`.
const GEOGRAPHIES: [&str; 20] = [
    "af",
    "africa",
    "ap",
    "apac",
    "asia",
    "au",
    "australia",
    "ca",
    "eu",
    "europe",
    "il",
    "jp",
    "me",
    "mx",
    "northamerica",
    "sa",
    "southamerica",
    "uk",
    "us",
    "usgov",
];

/// Returns true if the name of a Claude model on Amazon Bedrock, or of a gateway to a cloud, keeps the request in a region or a group of
/// regions, which the clouds sell at a surcharge.
///
/// | given | returned |
/// |---|---|
/// | `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, also as the end of an ARN | true |
/// | `bedrock/eu-west-1/anthropic.claude-opus-4-6-v1:0` | true |
/// | `global.anthropic.claude-opus-4-6-v1`, `claude-opus-4-6` | false |
pub fn is_regional(name: &str) -> bool {
    let name = without_suffix(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    if !last.contains("claude-") {
        return false;
    }
    match last.rsplit_once("anthropic.").map(|(region, _)| region.trim_end_matches('.')) {
        Some(prefix) if !prefix.is_empty() => prefix != "global",
        Some(_) | None => name[..name.len() - last.len()].split(['/', ':']).any(is_region),
    }
}

fn is_region(part: &str) -> bool {
    let first = part.split('-').next().unwrap_or(part);
    part.contains('-') && GEOGRAPHIES.contains(&first) && part.ends_with(|last: char| last.is_ascii_digit())
}

/// Returns true if a list entry `listed` covers `model`: in any spelling, with or without date and suffix. One of the families, such
/// as `sonnet`, covers all its models.
pub fn is_same_model(model: &str, listed: &str) -> bool {
    let (model, entry) = (first_party(model), first_party(listed));
    model == entry || without_date(&model) == entry || is_of_family(&model, &entry)
}

/// Returns true if `sent`, in a request, is the model that `asked` names, in any spelling. A short name stands for any model of its
/// family, and for any model of no known family, to which a gateway may map it.
pub fn is_asked_model(sent: &str, asked: &str) -> bool {
    let (sent, asked) = (sent.to_ascii_lowercase(), without_suffix(asked).to_ascii_lowercase());
    let sent = first_party(&sent);
    let families = || FAMILIES.iter().filter(|family| is_of_family(&sent, family));
    match asked.as_str() {
        "best" | "default" => true,
        "opusplan" => families().all(|family| ["opus", "sonnet"].contains(family)),
        family if FAMILIES.contains(&family) => families().all(|found| *found == family),
        asked => without_date(&first_party(asked)) == without_date(&sent),
    }
}

fn is_of_family(model: &str, family: &str) -> bool {
    FAMILIES.contains(&family) && model.starts_with("claude-") && model.split('-').any(|part| part == family)
}

/// Removes Bedrock's version: `-v1`, `-v1:0`, `-v2:0:200k`. Vertex AI has `-v2` before the date.
fn without_version(model: &str) -> &str {
    let Some((base, version)) = model.rsplit_once("-v") else { return model };
    let mut parts = version.split(':');
    let is_version = parts.next().is_some_and(is_number)
        && parts.all(|part| is_number(part) || part.strip_suffix('k').is_some_and(is_number));
    if is_version { base } else { model }
}

/// `claude-sonnet-4.5` → `claude-sonnet-4-5`
fn with_hyphens(model: &str) -> Cow<'_, str> {
    if model.contains('.') { Cow::Owned(model.replace('.', "-")) } else { Cow::Borrowed(model) }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
