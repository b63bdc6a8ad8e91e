//! The commits of submodules in the objects of a push.
//!
//! A task cannot push to a submodule. A branch whose submodule is at a commit that only the sandbox has cannot be cloned whole by
//! anyone, so such a push is refused.

use std::collections::BTreeSet;

use forge::GitHubError;

use super::RepositoryAccess;

/// The mode of a submodule's entry in a tree.
const SUBMODULE: &[u8] = b"160000";
/// The number of commits that the forge is asked for.
const MAX_COMMITS: usize = 100;

/// Adds the commits of submodules in a tree: entries `MODE NAME`, a NUL, and the id with `id_bytes` bytes.
pub(super) fn collect(mut tree: &[u8], id_bytes: usize, commits: &mut BTreeSet<String>) {
    while let Some(end) = tree.iter().position(|byte| *byte == 0) {
        let (entry, rest) = (&tree[..end], &tree[end + 1..]);
        let Some((id, rest)) = rest.split_at_checked(id_bytes) else { return };
        if entry.split(|byte| *byte == b' ').next() == Some(SUBMODULE) {
            commits.insert(id.iter().fold(String::new(), |id, byte| format!("{id}{byte:02x}")));
        }
        tree = rest;
    }
}

/// Returns the reason why these commits of submodules may not become part of a branch. `None`: one of the known commits has them
/// already, or the forge has them in a repository of the task.
pub(super) async fn objection(
    access: &RepositoryAccess,
    mut commits: BTreeSet<String>,
    known: &[String],
) -> Result<Option<String>, GitHubError> {
    let (github, name) = (&access.github, &access.name);
    for known in known {
        if commits.is_empty() {
            return Ok(None);
        }
        match github.submodule_commits(name, known).await {
            Ok(present) => commits.retain(|commit| !present.contains(commit)),
            // A listing that is cut is the repository's, not the agent's, and must not keep every push away.
            Err(GitHubError::Incomplete(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    for commit in commits.iter().take(MAX_COMMITS) {
        let mut is_there = false;
        for repository in std::iter::once(name).chain(&access.submodules) {
            is_there = is_there || github.has_commit(repository, commit).await?;
        }
        if !is_there {
            return Ok(Some(format!(
                "it sets a submodule to the commit {commit}, which the forge does not have in a repository of this task, and \
                 submodules take no pushes from here: leave the submodule at a commit that is there"
            )));
        }
    }
    Ok((commits.len() > MAX_COMMITS).then(|| format!("it sets submodules to more than {MAX_COMMITS} new commits")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::collect;

    #[test]
    fn the_submodules_of_a_tree_are_found() {
        let tree = [&b"100644 160000 a\0"[..], &[1; 20], b"40000 b\0", &[2; 20], b"160000 c d\0", &[0xab; 20]].concat();
        let mut commits = BTreeSet::new();
        collect(&tree, 20, &mut commits);
        assert_eq!(commits.into_iter().collect::<Vec<_>>(), ["ab".repeat(20)]);
        for length in 0..tree.len() {
            collect(&tree[..length], 20, &mut BTreeSet::new());
        }
    }
}
