//! The resource usage of all sandboxes, as the engine measures it.

use std::collections::HashMap;
use std::time::Duration;

use engine::{ContainerSummary, ContainerUsage, EngineError, EngineInfo, Operation};
use futures::stream::{self, StreamExt as _};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::{SandboxHost, SandboxName};

/// The age up to which a measurement is reused, so that many viewers cost the engine one call.
const FRESH: Duration = Duration::from_secs(2);

/// Number of concurrent calls to the engine. `TIMEOUT` limits all of them together.
const CONCURRENCY: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(10);

/// The engine, and the resource usage of every sandbox.
#[derive(Clone, Debug)]
pub struct Overview {
    pub engine: EngineInfo,
    pub sandboxes: Vec<SandboxUsage>,
}

/// The resource usage of one sandbox.
#[derive(Clone, Debug)]
pub struct SandboxUsage {
    /// The sandbox's name, as in a session's record.
    pub name: String,
    pub running: bool,
    /// RFC 3339, by the engine's clock.
    pub started: Option<String>,
    pub usage: ContainerUsage,
    /// Percent of one CPU since the previous measurement; `None` at the first one.
    pub cpu_percent: Option<f64>,
}

/// The last measurement.
#[derive(Default)]
pub(super) struct Measured(Mutex<Option<(Instant, Overview)>>);

impl SandboxHost {
    /// Returns a measurement that is at most two seconds old. Concurrent callers share one measurement.
    pub async fn overview(&self) -> Result<Overview, EngineError> {
        let mut measured = self.measured.0.lock().await;
        if let Some((at, overview)) = &*measured
            && at.elapsed() < FRESH
        {
            return Ok(overview.clone());
        }
        let before = measured.take();
        let overview = timeout(TIMEOUT, self.measure(before.as_ref())).await.unwrap_or_else(|_| {
            let seconds = TIMEOUT.as_secs();
            Err(EngineError::Timeout { operation: Operation::Usage, name: "all sandboxes".to_owned(), seconds })
        })?;
        *measured = Some((Instant::now(), overview.clone()));
        Ok(overview)
    }

    async fn measure(&self, before: Option<&(Instant, Overview)>) -> Result<Overview, EngineError> {
        let engine = self.engine.info().await?;
        let containers = self.engine.list_containers(&self.instance.labels()).await?;
        let ours = containers.into_iter().filter_map(|container| Some((self.sandbox_of(&container)?, container)));
        let earlier: HashMap<&str, u64> = before
            .map(|(_, overview)| {
                overview.sandboxes.iter().map(|one| (one.name.as_str(), one.usage.cpu_nanos)).collect()
            })
            .unwrap_or_default();
        let elapsed = before.map(|(at, _)| at.elapsed().as_nanos()).filter(|nanos| *nanos > 0);
        let asked = stream::iter(ours).map(|(name, container)| async move {
            let (state, usage) =
                tokio::try_join!(self.engine.inspect_container(&container.id), self.engine.usage(&container.id))?;
            // The container was removed meanwhile.
            let (Some(state), Some(usage)) = (state, usage) else { return Ok(None) };
            let started = state.started_at;
            Ok(Some(SandboxUsage { name, running: state.running, started, usage, cpu_percent: None }))
        });
        let asked: Vec<Result<Option<SandboxUsage>, EngineError>> = asked.buffer_unordered(CONCURRENCY).collect().await;
        let found: Result<Vec<Option<SandboxUsage>>, EngineError> = asked.into_iter().collect();
        let mut sandboxes: Vec<SandboxUsage> = found?.into_iter().flatten().collect();
        sandboxes.sort_by(|a, b| a.started.cmp(&b.started).then_with(|| a.name.cmp(&b.name)));
        for sandbox in &mut sandboxes {
            if let (Some(earlier), Some(elapsed)) = (earlier.get(sandbox.name.as_str()), elapsed) {
                sandbox.cpu_percent = Some(percent(sandbox.usage.cpu_nanos.saturating_sub(*earlier), elapsed));
            }
        }
        Ok(Overview { engine, sandboxes })
    }

    /// Returns `None` for a container that is not a sandbox, such as those through which files are read.
    fn sandbox_of(&self, container: &ContainerSummary) -> Option<String> {
        let name = SandboxName::of_container(&container.name)?;
        let labels = self.instance.sandbox_labels(&name);
        labels.iter().all(|(key, value)| container.labels.get(key) == Some(value)).then(|| name.to_string())
    }
}

/// Rounds down to one decimal place.
fn percent(used_nanos: u64, elapsed_nanos: u128) -> f64 {
    let tenths = u128::from(used_nanos).saturating_mul(1000) / elapsed_nanos;
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn of_one_cpu() {
        assert_eq!(percent(1_500_000_000, 2_000_000_000).to_string(), "75");
        assert_eq!(percent(4_000_000_000, 2_000_000_000).to_string(), "200");
        assert_eq!(percent(1_000_000, 2_000_000_000).to_string(), "0");
    }
}
