//! The resources of a sandbox that the engine must limit, and the evidence that it does.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use engine::{ContainerUsage, Limits};

/// A resource that an engine may be unable to limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    Memory,
    Pids,
    Cpu,
}

impl Resource {
    pub const ALL: [Resource; 3] = [Resource::Memory, Resource::Pids, Resource::Cpu];

    /// The setting of the limit.
    pub fn setting(self) -> &'static str {
        match self {
            Resource::Memory => "SANDBOX_MEMORY",
            Resource::Pids => "SANDBOX_PIDS",
            Resource::Cpu => "SANDBOX_CPUS",
        }
    }
}

/// The name in ALLOW_UNLIMITED.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::Memory => "memory",
            Resource::Pids => "pids",
            Resource::Cpu => "cpu",
        })
    }
}

/// A set of resources, like the value of ALLOW_UNLIMITED: names with commas between them, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceSet(BTreeSet<Resource>);

impl ResourceSet {
    pub fn contains(&self, resource: Resource) -> bool {
        self.0.contains(&resource)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The resources that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &ResourceSet) -> ResourceSet {
        ResourceSet(self.0.difference(&other.0).copied().collect())
    }
}

impl FromIterator<Resource> for ResourceSet {
    fn from_iter<T: IntoIterator<Item = Resource>>(resources: T) -> Self {
        ResourceSet(resources.into_iter().collect())
    }
}

impl FromStr for ResourceSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let resource = |name: &str| {
            let known = Resource::ALL.into_iter().find(|resource| resource.to_string() == name);
            known.ok_or_else(|| format!("{name:?} is not one of memory, pids and cpu; separate several by commas"))
        };
        names.map(resource).collect()
    }
}

impl fmt::Display for ResourceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, resource) in self.0.iter().enumerate() {
            write!(f, "{}{resource}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// The measured result of a probe sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitReport {
    /// The engine does not limit these.
    pub unlimited: ResourceSet,
    /// Neither the engine nor the sandbox reports these limits, as in a runtime with its own kernel.
    pub unknown: ResourceSet,
}

/// The script that a probe sandbox runs: one line for each resource, with the value of the sandbox's own cgroup (version 2,
/// then version 1), or `-`.
pub(super) const SCRIPT: &str = "cd /sys/fs/cgroup || exit 0
first() { for file in \"$@\"; do if [ -r \"$file\" ]; then head -n 1 \"$file\"; return; fi; done; echo -; }
echo \"memory $(first memory.max memory/memory.limit_in_bytes)\"
echo \"pids $(first pids.max pids/pids.max)\"
echo \"cpu $(first cpu.max cpu/cpu.cfs_quota_us cpu,cpuacct/cpu.cfs_quota_us) \\
$(first cpu/cpu.cfs_period_us cpu,cpuacct/cpu.cfs_period_us)\"";

/// A kernel rounds a quota of CPU time to microseconds.
const CPU_ROUNDING_NANOS: u64 = 10_000_000;

/// Compares the limits that were asked for with the sandbox's output of [`SCRIPT`] and the engine's measurement. A limit holds
/// if one of the two shows it. `own_kernel`: the runtime may hide the cgroup.
pub(super) fn judge(asked: Limits, inside: &str, usage: ContainerUsage, own_kernel: bool) -> LimitReport {
    let mut report = LimitReport::default();
    for resource in Resource::ALL {
        let (limit, measured) = match resource {
            Resource::Memory => (asked.memory_bytes, usage.memory_limit_bytes),
            Resource::Pids => (u64::from(asked.pids), usage.process_limit),
            Resource::Cpu => (asked.nano_cpus.saturating_add(CPU_ROUNDING_NANOS), 0),
        };
        let found = found_inside(inside, resource);
        let holds = matches!(found, Found::Limit(found) if found <= limit) || (1..=limit).contains(&measured);
        if holds {
            continue;
        }
        if own_kernel && found == Found::Nothing {
            report.unknown.0.insert(resource);
        } else {
            report.unlimited.0.insert(resource);
        }
    }
    report
}

/// The value of a resource's cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Unlimited,
    /// In bytes, processes, or billionths of a CPU.
    Limit(u64),
}

fn found_inside(output: &str, resource: Resource) -> Found {
    let name = resource.to_string();
    let words = output.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(&name)).then(|| words.collect::<Vec<_>>())
    });
    let words = words.unwrap_or_default();
    let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok());
    match (resource, words.first().copied()) {
        (_, None | Some("-")) => Found::Nothing,
        // Version 2 says `max`, version 1 says -1 for CPU time.
        (_, Some("max" | "-1")) => Found::Unlimited,
        (Resource::Cpu, Some(_)) => match (number(0), number(1)) {
            (Some(quota), Some(period @ 1..)) => Found::Limit(quota.saturating_mul(1_000_000_000) / period),
            _ => Found::Nothing,
        },
        (Resource::Memory | Resource::Pids, Some(_)) => number(0).map_or(Found::Nothing, Found::Limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Limits {
        Limits::new(2 << 30, 1_500_000_000, 512)
    }

    fn set(names: &str) -> ResourceSet {
        names.parse().unwrap()
    }

    fn unlimited(inside: &str, usage: ContainerUsage) -> String {
        judge(asked(), inside, usage, false).unlimited.to_string()
    }

    #[test]
    fn names_are_read_and_written() {
        assert_eq!(set(" pids, memory ").to_string(), "memory,pids");
        assert!(set("").is_empty() && set("cpu").contains(Resource::Cpu));
        assert_eq!(set("memory,pids,cpu").without(&set("pids")), set("memory,cpu"));
        assert!("all".parse::<ResourceSet>().unwrap_err().contains("memory, pids and cpu"));
    }

    #[test]
    fn both_versions_of_cgroups_show_their_limits() {
        let usage = ContainerUsage::default();
        assert_eq!(unlimited("memory 2147483648\npids 512\ncpu 150000 100000 -\n", usage), "");
        assert_eq!(unlimited("memory 2147483648\npids 512\ncpu 150000 100000\n", usage), "");
        assert_eq!(unlimited("memory max\npids max\ncpu max 100000 -\n", usage), "memory,pids,cpu");
        assert_eq!(unlimited("memory 9223372036854771712\npids max\ncpu -1 100000\n", usage), "memory,pids,cpu");
        // A limit that is higher than the one asked for is none.
        assert_eq!(unlimited("memory 4294967296\npids 513\ncpu 200000 100000\n", usage), "memory,pids,cpu");
    }

    #[test]
    fn the_measurement_of_the_engine_counts_too() {
        let usage = ContainerUsage { memory_limit_bytes: 2 << 30, process_limit: 512, ..ContainerUsage::default() };
        assert_eq!(unlimited("", usage), "cpu");
        // Without a limit, an engine reports the memory of the machine.
        let usage = ContainerUsage { memory_limit_bytes: 64 << 30, ..usage };
        assert_eq!(unlimited("memory -\npids -\ncpu - -\n", usage), "memory,cpu");
    }

    #[test]
    fn only_a_runtime_with_its_own_kernel_may_hide_them() {
        let report = judge(asked(), "memory -\npids -\ncpu - -\n", ContainerUsage::default(), true);
        assert_eq!((report.unlimited, report.unknown), (set(""), set("memory,pids,cpu")));
        let report = judge(asked(), "memory max\npids -\ncpu - -\n", ContainerUsage::default(), true);
        assert_eq!((report.unlimited, report.unknown), (set("memory"), set("pids,cpu")));
    }

    #[test]
    fn the_script_reads_a_cgroup() {
        let output = std::process::Command::new("sh").args(["-c", SCRIPT]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let names: Vec<_> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["memory", "pids", "cpu"], "{text}");
    }
}
