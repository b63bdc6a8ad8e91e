//! The clone from a copy of the coordinator's mirror. Only the objects that the mirror does not have come through the
//! gateway.

use domain::repository::Checkout;
use domain::sandbox::WORKSPACE;
use sandbox::{LaunchError, Sandbox};
use tracing::{info, warn};

use super::clone::QUIET;
use super::{MirrorCopy, MirrorError, Mirrors};

/// The mirrors from which one is copied into a sandbox.
#[derive(Clone, Copy)]
pub(crate) struct MirrorSource<'a> {
    pub(crate) mirrors: &'a Mirrors,
    /// The largest copy that a sandbox has room for, in bytes.
    pub(crate) most_bytes: u64,
}

/// The copy's name in the workspace, which no repository can have. On the volume of the clone, so that git links the
/// packs and does not copy them again.
pub(super) const COPY: &str = ".mirror+";

/// The exit code of [`CLONE`] for a damaged copy.
const DAMAGED: i32 = 97;

/// `$1` the clone, `$2` the branch, `$3` the forge's address, `$4` the base.
const CLONE: &str = r#"
git() {
  command git -c core.hooksPath=/dev/null -c protocol.allow=never \
    -c protocol.http.allow=always -c protocol.https.allow=always "$@"
}
git -c protocol.file.allow=always clone --quiet --branch "$2" -- ./.mirror+ "$1" || exit 97
rm -rf ./.mirror+
cd "$1"
git remote set-url origin "$3"
git remote set-head origin "$4" || true
git fetch --quiet --prune origin
git reset --quiet --hard "origin/$2"
"#;

/// Returns false without a usable mirror, and leaves nothing of it in the sandbox. The log has the reason, and a clone from the
/// forge replaces it.
pub(super) async fn clone(
    source: MirrorSource<'_>,
    sandbox: &mut Sandbox,
    url: &str,
    checkout: &Checkout,
) -> Result<bool, LaunchError> {
    let name = &checkout.name;
    let Some(copy) = copy_of(source, checkout).await else { return Ok(false) };
    // The sandbox reports a copy that broke off.
    let (archive, _writer) = copy.archive(COPY, &checkout.branch);
    let directory = checkout.directory();
    let error = if let Err(error) = sandbox.unpack(archive).await {
        if let LaunchError::Ended(_) = error {
            return Err(error);
        }
        domain::error_chain(&error)
    } else {
        let arguments = ["-euc", CLONE, "sh", &directory, &checkout.branch, url, &checkout.base];
        let finished = sandbox.run(WORKSPACE, "sh", &arguments, &QUIET).await?;
        if finished.succeeded() {
            return Ok(true);
        }
        if finished.code == Some(DAMAGED)
            && let Err(error) = source.mirrors.discard(name).await
        {
            warn!(repository = %name, %error, "could not remove a mirror");
        }
        finished.stderr
    };
    warn!(repository = %name, error, "cloned without the mirror, because it could not be cloned");
    sandbox.run(WORKSPACE, "rm", &["-rf", "--", COPY, &directory], &QUIET).await?;
    Ok(false)
}

/// Returns the mirror in the forge's current state. `None`: it is not available or too large.
async fn copy_of(source: MirrorSource<'_>, checkout: &Checkout) -> Option<MirrorCopy> {
    let known_bytes = checkout.size.saturating_mul(1024);
    let updated = if known_bytes > source.most_bytes {
        Err(MirrorError::TooLarge)
    } else {
        source.mirrors.update(&checkout.name, known_bytes).await
    };
    let fitting =
        updated.and_then(|copy| if copy.bytes() > source.most_bytes { Err(MirrorError::TooLarge) } else { Ok(copy) });
    fitting
        .inspect_err(|error| {
            let error = domain::error_chain(error);
            info!(repository = %checkout.name, error, "cloned without a mirror");
        })
        .ok()
}
