//! Volumes in the engine that no session of a store has.

use std::path::Path;

use anyhow::Context as _;
use engine::Engine;
use sandbox::{Instance, SessionVolume};
use store::OrphanVolume;

pub(super) struct Orphan {
    pub(super) name: String,
    /// `None`: no server of the store has seen it without a session yet.
    pub(super) record: Option<OrphanVolume>,
}

/// Finds the volumes of the installation that no session has, sorted by name. `in_use`: a server runs on the data
/// directory. It has warm sandboxes, whose volumes have no session yet, so only the volumes that it recorded count.
/// `None`: there is no store of this version to compare with.
pub(super) async fn orphans(engine: &dyn Engine, data_dir: &Path, in_use: bool) -> anyhow::Result<Option<Vec<Orphan>>> {
    let instance = Instance::existing(data_dir).with_context(|| format!("could not read {}", data_dir.display()))?;
    let Some(instance) = instance else { return Ok(Some(Vec::new())) };
    let volumes = engine.list_volumes(&instance.labels()).await?;
    let Some(store) = store::inspect(data_dir)? else { return Ok(None) };
    let recorded = store.orphan_volumes()?;
    let mut orphans = Vec::new();
    for volume in volumes.into_iter().filter_map(SessionVolume::of) {
        let record = recorded.iter().find(|orphan| orphan.name == volume.name);
        if (record.is_some() || !in_use) && !store.has_session(volume.session)? {
            orphans.push(Orphan { name: volume.name, record: record.cloned() });
        }
    }
    Ok(Some(orphans))
}
