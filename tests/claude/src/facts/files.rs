//! Files of the CLI: the login, memory, transcripts.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use mock_api::scripted_model::Credential;
use serde_json::json;

use super::{Fact, fact};
use crate::lab::Lab;
use crate::launch::Launch;

pub(super) const FACTS: &[Fact] = &[
    fact!(
        login_file,
        "without a key the token of ~/.claude/.credentials.json is used, as a bearer token with the beta `oauth-2025-04-20`"
    ),
    fact!(oauth_variable, "CLAUDE_CODE_OAUTH_TOKEN is used in the same way"),
    fact!(memory_file, "CLAUDE.md of the workspace reaches the model in the first request"),
    fact!(transcript_file, "the transcript is ~/.claude/projects/*/CONVERSATION.jsonl, and CLAUDE_CONFIG_DIR moves it"),
];

const TOKEN: &str = "sk-ant-oat01-of-the-login";

async fn login_file(lab: Arc<Lab>) -> Result<()> {
    lab.model.expect_token(TOKEN);
    let login = json!({ "claudeAiOauth": {
        "accessToken": TOKEN,
        "refreshToken": "sk-ant-ort01-of-the-login",
        "expiresAt": 4_102_444_800_000_u64,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    } });
    std::fs::create_dir_all(lab.home().join(".claude"))?;
    std::fs::write(lab.home().join(".claude/.credentials.json"), login.to_string())?;
    bearer(&lab, &Launch::new().without("ANTHROPIC_API_KEY")).await
}

async fn oauth_variable(lab: Arc<Lab>) -> Result<()> {
    lab.model.expect_token(TOKEN);
    bearer(&lab, &Launch::new().without("ANTHROPIC_API_KEY").variable("CLAUDE_CODE_OAUTH_TOKEN", TOKEN)).await
}

async fn bearer(lab: &Lab, launch: &Launch) -> Result<()> {
    let mut claude = lab.agent(launch).await?;
    claude.answer("say:hello").await?;
    let requests = lab.conversation_requests();
    ensure!(
        requests.iter().all(|request| request.credential == Credential::OauthToken(0)),
        "{:?}",
        requests[0].credential
    );
    ensure!(lab.model.violations().is_empty(), "{:?}", lab.model.violations());
    Ok(())
}

async fn memory_file(lab: Arc<Lab>) -> Result<()> {
    std::fs::write(lab.workspace().join("CLAUDE.md"), "The word of the workspace is heliotrope.")?;
    let mut claude = lab.usual().await?;
    claude.answer("say:hello").await?;
    let body = lab.last_body()?.to_string();
    let times = body.matches("heliotrope").count();
    ensure!(times == 1, "it is {times} times in the request");
    Ok(())
}

async fn transcript_file(lab: Arc<Lab>) -> Result<()> {
    let moved = lab.home().join("elsewhere");
    for (launch, directory) in [
        (Launch::new(), lab.home().join(".claude")),
        (Launch::new().variable("CLAUDE_CONFIG_DIR", &moved.display().to_string()), moved.clone()),
    ] {
        let mut claude = lab.agent(&launch).await?;
        claude.answer("say:hello").await?;
        claude.end().await?;
        let name = format!("{}.jsonl", claude.conversation()?);
        ensure!(is_below(&directory.join("projects"), &name)?, "no {name} in a directory of {}", directory.display());
    }
    Ok(())
}

/// True if a directory of `projects` has a file of this name.
fn is_below(projects: &Path, name: &str) -> Result<bool> {
    for entry in std::fs::read_dir(projects)? {
        if entry?.path().join(name).is_file() {
            return Ok(true);
        }
    }
    Ok(false)
}
