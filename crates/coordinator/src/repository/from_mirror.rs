//! The clone, made from a copy of the coordinator's mirror instead of the forge. Only what the mirror does not have yet comes
//! through the gateway.

use container_engine::Engine;
use tracing::{info, warn};

use super::clone::QUIET;
use super::{Checkout, Mirrors};
use crate::sandbox::{LaunchError, Sandbox, WORKSPACE};

/// Where the mirrors are, and how a copy gets into a sandbox.
#[derive(Clone, Copy)]
pub(crate) struct MirrorSource<'a> {
    pub(crate) mirrors: &'a Mirrors,
    pub(crate) engine: &'a dyn Engine,
}

/// The copy's name in the workspace, which no repository can have. On the same volume as the clone, so that packs are linked
/// and not copied once more.
pub(super) const COPY: &str = ".mirror+";

/// How [`CLONE`] ends where the copy is no good.
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

/// False: there is no mirror, or it would not do, and nothing is left of it. The reason is in the log: a clone from the forge
/// is as good, if slower.
pub(super) async fn clone(
    source: MirrorSource<'_>,
    sandbox: &mut Sandbox,
    url: &str,
    checkout: &Checkout,
) -> Result<bool, LaunchError> {
    let name = &checkout.name;
    let copy = match source.mirrors.update(name, checkout.size.saturating_mul(1024)).await {
        Ok(copy) => copy,
        Err(error) => {
            let error = crate::sandbox::sentence(&error);
            info!(repository = %name, error, "cloned without a mirror");
            return Ok(false);
        }
    };
    // The engine tells of a copy that broke off.
    let (archive, _writer) = copy.archive(COPY, &checkout.branch);
    if let Err(error) = source.engine.upload(&sandbox.container, WORKSPACE, archive).await {
        warn!(repository = %name, %error, "cloned without a mirror, which could not be copied");
        return Ok(false);
    }
    let directory = checkout.directory();
    let arguments = ["-euc", CLONE, "sh", &directory, &checkout.branch, url, &checkout.base];
    let finished = sandbox.run(WORKSPACE, "sh", &arguments, &QUIET).await?;
    if finished.succeeded() {
        return Ok(true);
    }
    warn!(repository = %name, error = finished.stderr, "cloned without a mirror, of which no clone could be made");
    if finished.code == Some(DAMAGED)
        && let Err(error) = source.mirrors.discard(name).await
    {
        warn!(repository = %name, %error, "a mirror could not be removed");
    }
    sandbox.run(WORKSPACE, "rm", &["-rf", "--", COPY, &directory], &QUIET).await?;
    Ok(false)
}
