//! Converts this project's types to bodies of Docker's API, and its responses back. The functions are pure, so tests
//! need no engine.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr as _;

use bollard::models;

use super::dialect::{Adaptation, DOCKER, Labelling, Masking, PODMAN, RunAccess, Seccomp};
use engine::{
    AGENT_GID, AGENT_UID, ContainerId, ContainerSpec, ContainerState, ContainerSummary, ContainerUsage, EngineInfo,
    ImageInfo, Labels, Limits, Mount, Network, VolumeSummary,
};

/// Docker's representation of "never".
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The system calls that a sandbox may use. All others fail with EPERM. `docs/concepts/sandbox.md` explains the origin of the
/// list.
pub(super) const SECCOMP_PROFILE: &str = include_str!("seccomp.json");

/// Paths that are hidden in a sandbox because they reveal information about the host or its other users. The list is
/// complete, because the default of an engine depends on its version.
const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// The maximum memory that one process may lock: Linux's default for every user.
const LOCKED_BYTES: u64 = 64 * 1024;

const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub(super) fn create_body(spec: &ContainerSpec, adaptation: &Adaptation) -> models::ContainerCreateBody {
    models::ContainerCreateBody {
        hostname: Some("sandbox".to_owned()),
        user: Some(format!("{AGENT_UID}:{AGENT_GID}")),
        image: Some(spec.image.clone()),
        entrypoint: spec.entry_point.clone().map(|program| vec![program]),
        cmd: (!spec.command.is_empty()).then(|| spec.command.clone()),
        env: Some(spec.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        host_config: Some(host_config(spec, adaptation)),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec, adaptation: &Adaptation) -> models::HostConfig {
    let (binds, mounts) = mounts(&spec.mounts, adaptation.labelling);
    let Limits { memory_bytes, nano_cpus, pids, open_files, file_bytes } = spec.limits;
    models::HostConfig {
        readonly_rootfs: Some(true),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(security_options(adaptation)),
        masked_paths: Some(MASKED_PATHS.map(str::to_owned).into()),
        readonly_paths: Some(READONLY_PATHS.map(str::to_owned).into()),
        ipc_mode: Some("private".to_owned()),
        cgroupns_mode: Some(models::HostConfigCgroupnsModeEnum::PRIVATE),
        network_mode: Some(match spec.network {
            Network::None => "none".to_owned(),
            Network::Bridge => "bridge".to_owned(),
        }),
        extra_hosts: match spec.network {
            Network::None => None,
            Network::Bridge => Some(vec!["host.docker.internal:host-gateway".to_owned()]),
        },
        memory: Some(signed(memory_bytes)),
        // This is the limit of memory and swap together. Equal values mean no swap.
        memory_swap: Some(signed(memory_bytes)),
        nano_cpus: Some(signed(nano_cpus)),
        pids_limit: Some(i64::from(pids)),
        ulimits: Some(
            [
                ulimit("nofile", u64::from(open_files)),
                ulimit("core", 0),
                ulimit("fsize", file_bytes),
                // The kernel counts these per user, and all sandboxes share one user. No sandbox may use up the others'
                // share.
                ulimit("msgqueue", 0),
                ulimit("memlock", LOCKED_BYTES),
            ]
            .into_iter()
            .chain(adaptation.user_processes.map(|processes| ulimit("nproc", processes)))
            .collect(),
        ),
        binds,
        mounts: Some(mounts),
        // The engine mounts in the order of path depth, so the tmpfs does not hide a directory below /run.
        tmpfs: Some(HashMap::from([
            // Programs are built and run here, so there is no noexec. The content counts as the container's memory.
            ("/tmp".to_owned(), format!("rw,exec,nosuid,nodev,mode=1777,size={}", memory_bytes / 2)),
            ("/run".to_owned(), format!("rw,noexec,nosuid,nodev,size=16m,{}", run_access(adaptation.run_access))),
        ])),
        // Only the first process's own output is logged: the reason in an error message.
        log_config: Some(models::HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), "1m".to_owned()),
                ("max-file".to_owned(), "1".to_owned()),
            ])),
        }),
        restart_policy: Some(models::RestartPolicy {
            name: Some(models::RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        auto_remove: Some(false),
        // The first process reaps. The engine's init would be a second one.
        init: Some(false),
        runtime: spec.runtime.clone(),
        ..Default::default()
    }
}

fn run_access(access: RunAccess) -> String {
    match access {
        RunAccess::Owner => format!("mode=0755,uid={AGENT_UID},gid={AGENT_GID}"),
        RunAccess::Mode => "mode=1777".to_owned(),
    }
}

fn security_options(adaptation: &Adaptation) -> Vec<String> {
    let seccomp = match &adaptation.seccomp {
        Seccomp::Inline => Some(format!("seccomp={SECCOMP_PROFILE}")),
        Seccomp::File(path) => Some(format!("seccomp={}", path.display())),
        Seccomp::EngineDefault => None,
    };
    let mask = match adaptation.masking {
        Masking::List => None,
        Masking::SecurityOption => Some(format!("mask={}", MASKED_PATHS.join(":"))),
    };
    std::iter::once("no-new-privileges".to_owned()).chain(seccomp).chain(mask).collect()
}

/// Splits mounts into those of the older form, whose options can request a label, and those of the newer form.
fn mounts(mounts: &[Mount], labelling: Labelling) -> (Option<Vec<String>>, Vec<models::Mount>) {
    let (mut binds, mut rest) = (Vec::new(), Vec::new());
    for one in mounts {
        match labelled_bind(one).filter(|_| labelling == Labelling::Relabel) {
            Some(bind) => binds.push(bind),
            None => rest.push(mount(one)),
        }
    }
    ((!binds.is_empty()).then_some(binds), rest)
}

/// A sandbox's own directory gets a label that only its container may use. A file is shared by all containers. `None` for a
/// volume, which the engine labels itself, and for a path that the older form cannot express.
fn labelled_bind(mount: &Mount) -> Option<String> {
    let (source, target, label) = match mount {
        Mount::Volume { .. } | Mount::ReadOnlyVolume { .. } => return None,
        Mount::Directory { source, target } => (source, target, 'Z'),
        Mount::File { source, target } => (source, target, 'z'),
    };
    let source = source.to_str().filter(|source| !source.contains(':'))?;
    Some(format!("{source}:{target}:ro,{label}"))
}

fn volume(name: &str, target: &str, read_only: bool) -> models::Mount {
    models::Mount {
        typ: Some(models::MountType::VOLUME),
        source: Some(name.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..Default::default()
    }
}

pub(super) fn usage(answer: models::ContainerStatsResponse) -> ContainerUsage {
    let memory = answer.memory_stats.unwrap_or_default();
    // cgroup v1 and v2 use different names.
    let cached =
        memory.stats.as_ref().and_then(|stats| stats.get("total_inactive_file").or(stats.get("inactive_file")));
    let cpu = answer.cpu_stats.and_then(|cpu| cpu.cpu_usage).and_then(|cpu| cpu.total_usage);
    let processes = answer.pids_stats.unwrap_or_default();
    ContainerUsage {
        cpu_nanos: cpu.unwrap_or_default(),
        memory_bytes: memory.usage.unwrap_or_default().saturating_sub(cached.copied().unwrap_or_default()),
        memory_limit_bytes: memory.limit.unwrap_or_default(),
        processes: processes.current.unwrap_or_default(),
        process_limit: processes.limit.unwrap_or_default(),
    }
}

fn mount(mount: &Mount) -> models::Mount {
    match mount {
        Mount::Volume { name, target } => volume(name, target, false),
        Mount::ReadOnlyVolume { name, target } => volume(name, target, true),
        Mount::Directory { source, target } | Mount::File { source, target } => models::Mount {
            typ: Some(models::MountType::BIND),
            source: Some(source.to_string_lossy().into_owned()),
            target: Some(target.clone()),
            read_only: Some(true),
            ..Default::default()
        },
    }
}

fn ulimit(name: &str, value: u64) -> models::ResourcesUlimits {
    models::ResourcesUlimits { name: Some(name.to_owned()), soft: Some(signed(value)), hard: Some(signed(value)) }
}

pub(super) fn volume_request(name: &str, labels: &Labels) -> models::VolumeCreateRequest {
    models::VolumeCreateRequest {
        name: Some(name.to_owned()),
        labels: Some(labels.clone().into_iter().collect()),
        ..Default::default()
    }
}

pub(super) fn label_filter(labels: &Labels) -> HashMap<String, Vec<String>> {
    let wanted = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    HashMap::from([("label".to_owned(), wanted)])
}

pub(super) fn volume_summaries(answer: models::VolumeListResponse) -> Vec<VolumeSummary> {
    let volumes = answer.volumes.unwrap_or_default().into_iter();
    let mut summaries: Vec<_> = volumes
        .map(|volume| VolumeSummary { name: volume.name, labels: volume.labels.into_iter().collect() })
        .collect();
    summaries.sort_by(|one, other| one.name.cmp(&other.name));
    summaries
}

pub(super) fn container_state(answer: models::ContainerInspectResponse) -> ContainerState {
    let state = answer.state.unwrap_or_default();
    let running = state.running.unwrap_or_default();
    let started_at = state.started_at.filter(|time| time != NO_TIME && !time.is_empty());
    ContainerState {
        running,
        exit_code: state.exit_code.filter(|_| !running && started_at.is_some()),
        oom_killed: state.oom_killed.unwrap_or_default(),
        started_at,
        image_id: answer.image.map(image_id).unwrap_or_default(),
        labels: answer.config.and_then(|config| config.labels).unwrap_or_default().into_iter().collect(),
    }
}

pub(super) fn container_summary(answer: models::ContainerSummary) -> ContainerSummary {
    let name = answer.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    ContainerSummary {
        id: ContainerId::new(answer.id.unwrap_or_default()),
        name: name.trim_start_matches('/').to_owned(),
        image: answer.image.unwrap_or_default(),
        running: answer.state == Some(models::ContainerSummaryStateEnum::RUNNING),
        labels: answer.labels.unwrap_or_default().into_iter().collect(),
    }
}

/// The form of Docker's ids. Other engines leave the name of the hash out.
fn image_id(id: String) -> String {
    if id.is_empty() || id.contains(':') { id } else { format!("sha256:{id}") }
}

/// Splits the name of an image into repository and tag. The port of a registry is no tag.
pub(super) fn repository_and_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        Some(_) | None => (name, "latest"),
    }
}

pub(super) fn image_info(answer: models::ImageInspect) -> ImageInfo {
    ImageInfo {
        id: answer.id.map(image_id).unwrap_or_default(),
        labels: answer.config.and_then(|config| config.labels).unwrap_or_default().into_iter().collect(),
        size_bytes: unsigned(answer.size),
        created: answer.created,
    }
}

pub(super) fn engine_info(version: models::SystemVersion, info: models::SystemInfo, api_version: String) -> EngineInfo {
    let mut runtimes: Vec<_> = info.runtimes.unwrap_or_default().into_keys().collect();
    runtimes.sort();
    let components = version.components.unwrap_or_default();
    let is_podman = components.iter().any(|part| part.name == "Podman Engine");
    let oci_runtime = components.iter().find_map(|part| oci_runtime(&part.name, &part.version));
    let (runc_version, other_oci_runtime) = match oci_runtime {
        Some(("runc", version)) => (Some(version.to_owned()), None),
        Some((program, version)) => (None, Some(format!("{program} {version}"))),
        None => (components.iter().find(|part| part.name == "runc").map(|part| part.version.clone()), None),
    };
    let security = info.security_options.unwrap_or_default();
    EngineInfo {
        name: info.name.unwrap_or_default(),
        product: if is_podman { PODMAN } else { DOCKER }.to_owned(),
        version: version.version.unwrap_or_default(),
        api_version,
        architecture: machine_name(info.architecture.unwrap_or_default()),
        memory_bytes: unsigned(info.mem_total),
        cpus: unsigned(info.ncpu),
        cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
        storage_driver: info.driver.unwrap_or_default(),
        runtimes,
        runc_version,
        other_oci_runtime,
        selinux: security.iter().any(|option| option.split(',').any(|part| part == "name=selinux")),
    }
}

/// Podman uses Go's names of architectures, Docker those of `uname -m`.
fn machine_name(architecture: String) -> String {
    match architecture.as_str() {
        "amd64" => "x86_64".to_owned(),
        "arm64" => "aarch64".to_owned(),
        _ => architecture,
    }
}

/// Podman's component for its OCI runtime: the name `OCI Runtime (crun)` and a version that starts with the line
/// `crun version 1.8.1`.
fn oci_runtime<'a>(name: &'a str, version: &'a str) -> Option<(&'a str, &'a str)> {
    let program = name.strip_prefix("OCI Runtime (")?.strip_suffix(')')?;
    let version = version.lines().next().unwrap_or_default();
    Some((program, version.rsplit_once(' ').map_or(version, |(_, version)| version)))
}

pub(super) fn gateway(answer: &models::NetworkInspect) -> Option<IpAddr> {
    let ranges = answer.ipam.as_ref()?.config.as_ref()?;
    let reported = ranges.iter().find_map(|range| range.gateway.as_ref()?.parse().ok());
    reported.or_else(|| ranges.iter().find_map(|range| first_host(range.subnet.as_ref()?)))
}

/// The first host of the subnet. An engine that has just created its bridge does not report the gateway yet; it is this
/// address.
fn first_host(subnet: &str) -> Option<IpAddr> {
    let (address, bits) = subnet.split_once('/')?;
    let host_bits = 32_u32.checked_sub(bits.parse().ok()?)?;
    let network = Ipv4Addr::from_str(address).ok()?.to_bits() & u32::MAX.checked_shl(host_bits)?;
    Some(Ipv4Addr::from_bits(network.checked_add(1)?).into())
}

/// Converts to Docker's signed integers. A value above the maximum is as good as no limit.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: Option<i64>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
