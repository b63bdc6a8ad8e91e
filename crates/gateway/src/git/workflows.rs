//! The guard of `.github/workflows`, which the forge runs by itself.

use forge::GitHubError;

use super::RepositoryAccess;

/// Returns the reason why a commit may not become part of a branch. `None`: its workflows are those of the base branch, now or when
/// the task began, or those that the task's branch had then.
pub(super) async fn objection(access: &RepositoryAccess, commit: &str) -> Result<Option<String>, GitHubError> {
    let (github, name) = (&access.github, &access.name);
    let pushed = match github.workflows(name, commit).await {
        Err(GitHubError::Incomplete(place)) => {
            let reason = format!("{place} cannot be read completely, so it may change .github/workflows");
            return Ok(Some(format!("{reason}, which is not allowed here")));
        }
        pushed => pushed?,
    };
    for known in &access.known {
        if github.workflows(name, known).await? == pushed {
            return Ok(None);
        }
    }
    // The base branch may have new workflows, which the task may have merged.
    let head = github.branch(name, &access.base).await?;
    if let Some(head) = head.filter(|head| !access.known.contains(head))
        && github.workflows(name, &head).await? == pushed
    {
        return Ok(None);
    }
    Ok(Some("it changes .github/workflows, which is not allowed here".to_owned()))
}
