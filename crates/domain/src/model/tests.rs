use super::*;

#[test]
fn only_the_form_of_a_name_is_checked() {
    for good in [
        "sonnet",
        "opus[1m]",
        "claude-next-9",
        "gpt-5",
        "claude-haiku-4-5@20251001",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
        "bedrock/anthropic.claude-sonnet-4-6-v1:0",
        "openrouter/anthropic/claude-sonnet-4.5",
        "@cf/meta/llama-3.1-8b",
        "0",
    ] {
        assert_eq!(check_model_name(good), Ok(()), "{good}");
    }
    let long = "a".repeat(257);
    for bad in [
        "",
        " ",
        "[1m]",
        "-p",
        "--dangerously",
        "sonnet ",
        "son net",
        "sonnet\n",
        "sonnet[]",
        "sonnet[1m",
        "sonnet[1m][2m]",
        "sonnet[[1m]]",
        "sonnet[1 m]",
        "sonnet]",
        "\"sonnet\"",
        "$(x)",
        "modèle",
        &long,
    ] {
        assert_eq!(check_model_name(bad), Err(InvalidModelName), "{bad:?}");
    }
    assert_eq!(check_model_name(&long[1..]), Ok(()));
}

#[test]
fn a_platforms_name_is_that_of_the_api() {
    for (name, own) in [
        ("claude-sonnet-4-6", "claude-sonnet-4-6"),
        ("claude-sonnet-4-6[1m]", "claude-sonnet-4-6"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"),
        ("anthropic.claude-3-haiku-20240307-v1:0:48k", "claude-3-haiku-20240307"),
        ("global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("bedrock/us-east-1/anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "claude-haiku-4-5-20251001",
        ),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5-20251001"),
        ("claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet-20241022"),
        ("vertex_ai/claude-sonnet-4-6@default", "claude-sonnet-4-6"),
        ("openrouter/anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        // These are no names of Claude models.
        ("gpt-4.1", "gpt-4.1"),
        ("my-anthropic.claude-opus-4-6", "my-anthropic.claude-opus-4-6"),
        ("claude-haiku-4-5@evil", "claude-haiku-4-5@evil"),
        ("azure/team-a", "azure/team-a"),
        ("", ""),
    ] {
        assert_eq!(first_party(name), own, "{name}");
    }
}

#[test]
fn a_region_is_found_in_a_platforms_name() {
    for name in [
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "eu.anthropic.claude-opus-4-6-v1[1m]",
        "apac.anthropic.claude-haiku-4-5-20251001-v1:0",
        "bedrock/us.anthropic.claude-opus-4-6-v1:0",
        "bedrock/us-east-1/anthropic.claude-opus-4-6-v1:0",
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0",
        "vertex_ai/europe-west1/claude-haiku-4-5@20251001",
    ] {
        assert!(is_regional(name), "{name}");
    }
    for name in [
        "claude-sonnet-4-6",
        "claude-sonnet-4-6[1m]",
        "global.anthropic.claude-opus-4-6-v1",
        "arn:aws:bedrock:us-east-1:1:inference-profile/global.anthropic.claude-haiku-4-5-20251001-v1:0",
        "anthropic.claude-3-haiku-20240307-v1:0",
        "vertex_ai/claude-haiku-4-5@20251001",
        "openrouter/anthropic/claude-sonnet-4.5",
        "us.gpt-5",
        "",
    ] {
        assert!(!is_regional(name), "{name}");
    }
}

#[test]
fn a_list_covers_every_spelling_of_its_models() {
    for (model, listed) in [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "sonnet"),
        ("claude-haiku-4-5@20251001", "haiku"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5@20251001"),
        ("sonnet[1m]", "sonnet"),
    ] {
        assert!(is_same_model(model, listed), "{model} {listed}");
    }
    for (model, listed) in [
        ("claude-sonnet-4-5", "claude-sonnet-4"),
        ("claude-opus-4-6", "sonnet"),
        ("sonnet", "claude-sonnet-4-6"),
        ("my-sonnet", "sonnet"),
        ("opusplan", "opus"),
        ("claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-6-v1:0"),
        ("claude-opus-4-6", "claude"),
        ("claude-opus-4-6", ""),
    ] {
        assert!(!is_same_model(model, listed), "{model} {listed}");
    }
}

#[test]
fn a_request_has_the_model_that_was_asked_for() {
    for (asked, sent) in [
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("claude-opus-4-6[1m]", "claude-opus-4-6"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("us.anthropic.claude-opus-4-6-v1:0", "us.anthropic.claude-opus-4-6-v1:0"),
        ("sonnet", "claude-sonnet-5-5"),
        ("sonnet[1m]", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("Opus", "claude-opus-5-5"),
        ("haiku", "a-model-of-the-gateway"),
        ("opusplan", "claude-sonnet-5-5"),
        ("default", "claude-fable-5-2"),
        ("our-model", "our-model"),
    ] {
        assert!(is_asked_model(sent, asked), "{sent} for {asked}");
    }
    for (asked, sent) in [
        ("claude-opus-4-6", "claude-sonnet-4-6"),
        ("claude-opus-4-6", "claude-opus-4-8"),
        ("claude-opus-4", "claude-opus-4-6"),
        ("sonnet", "claude-haiku-5-5"),
        ("haiku", "vertex/claude-opus-5-5"),
        ("opusplan", "claude-haiku-5-5"),
        ("our-model", "claude-sonnet-4-6"),
    ] {
        assert!(!is_asked_model(sent, asked), "{sent} for {asked}");
    }
}
