use std::path::PathBuf;

use serde_json::json;

use super::*;

fn spec() -> ContainerSpec {
    ContainerSpec {
        name: "sandbox-1".to_owned(),
        image: "claude-runner".to_owned(),
        labels: Labels::from([("instance".to_owned(), "a".to_owned())]),
        entry_point: None,
        command: Vec::new(),
        environment: [("LINK".to_owned(), "/run/link".to_owned())].into(),
        mounts: vec![
            Mount::Volume { name: "workspace-1".to_owned(), target: "/workspace".to_owned() },
            Mount::Directory { source: PathBuf::from("/run/claude-runner/1"), target: "/run/link".to_owned() },
        ],
        network: Network::None,
        limits: Limits {
            memory_bytes: 1 << 30,
            nano_cpus: 1_500_000_000,
            pids: 512,
            open_files: 1024,
            file_bytes: 4096,
        },
        runtime: None,
        shared_directory: None,
    }
}

#[test]
fn a_sandbox_gets_exactly_these_settings() {
    let body = serde_json::to_value(create_body(&spec(), &Adaptation::DOCKER)).unwrap();

    assert_eq!(
        body,
        json!({
            "Hostname": "sandbox",
            "User": "10001:10001",
            "Image": "claude-runner",
            "Env": ["LINK=/run/link"],
            "Labels": {"instance": "a"},
            "HostConfig": {
                "ReadonlyRootfs": true,
                "Privileged": false,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges", format!("seccomp={SECCOMP_PROFILE}")],
                "MaskedPaths": MASKED_PATHS,
                "ReadonlyPaths": READONLY_PATHS,
                "IpcMode": "private",
                "CgroupnsMode": "private",
                "NetworkMode": "none",
                "Memory": 1_073_741_824,
                "MemorySwap": 1_073_741_824,
                "NanoCpus": 1_500_000_000,
                "PidsLimit": 512,
                "Ulimits": [
                    {"Name": "nofile", "Soft": 1024, "Hard": 1024},
                    {"Name": "core", "Soft": 0, "Hard": 0},
                    {"Name": "fsize", "Soft": 4096, "Hard": 4096},
                    {"Name": "msgqueue", "Soft": 0, "Hard": 0},
                    {"Name": "memlock", "Soft": 65536, "Hard": 65536},
                ],
                "Mounts": [
                    {"Type": "volume", "Source": "workspace-1", "Target": "/workspace", "ReadOnly": false},
                    {"Type": "bind", "Source": "/run/claude-runner/1", "Target": "/run/link", "ReadOnly": true},
                ],
                "Tmpfs": {
                    "/tmp": "rw,exec,nosuid,nodev,mode=1777,size=536870912",
                    "/run": "rw,noexec,nosuid,nodev,size=16m,mode=0755,uid=10001,gid=10001",
                },
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
                "RestartPolicy": {"Name": "no"},
                "AutoRemove": false,
                "Init": false,
            },
        })
    );
}

#[test]
fn podman_gets_the_profile_as_a_path_and_masked_paths_as_an_option() {
    let adaptation = Adaptation {
        seccomp: Seccomp::File(PathBuf::from("/run/claude-runner/seccomp.json")),
        masking: Masking::SecurityOption,
        run_access: RunAccess::Mode,
        user_processes: Some(4096),
        ..Adaptation::DOCKER
    };
    let host = host_config(&spec(), &adaptation);

    let mask = format!("mask={}", MASKED_PATHS.join(":"));
    let expected = ["no-new-privileges", "seccomp=/run/claude-runner/seccomp.json", &mask];
    assert_eq!(host.security_opt.unwrap(), expected);
    assert_eq!(host.ulimits.unwrap().last(), Some(&ulimit("nproc", 4096)));
    assert_eq!(host.tmpfs.unwrap()["/run"], "rw,noexec,nosuid,nodev,size=16m,mode=1777");

    let by_default = Adaptation { seccomp: Seccomp::EngineDefault, ..adaptation };
    assert_eq!(host_config(&spec(), &by_default).security_opt.unwrap(), ["no-new-privileges", &mask]);
}

#[test]
fn directories_are_labelled_where_the_engine_labels() {
    let mut spec = spec();
    let file = Mount::File { source: PathBuf::from("/run/claude-runner/empty"), target: "/etc/resolv.conf".to_owned() };
    let odd = Mount::Directory { source: PathBuf::from("/run/a:b"), target: "/b".to_owned() };
    spec.mounts.extend([file, odd]);
    let host = host_config(&spec, &Adaptation { labelling: Labelling::Relabel, ..Adaptation::DOCKER });

    let binds = ["/run/claude-runner/1:/run/link:ro,Z", "/run/claude-runner/empty:/etc/resolv.conf:ro,z"];
    assert_eq!(host.binds.unwrap(), binds);
    let targets: Vec<_> = host.mounts.unwrap().into_iter().map(|mount| mount.target.unwrap()).collect();
    assert_eq!(targets, ["/workspace", "/b"]);
}

#[test]
fn a_bridged_sandbox_can_name_the_host() {
    let host = host_config(&ContainerSpec { network: Network::Bridge, ..spec() }, &Adaptation::DOCKER);

    assert_eq!(host.network_mode.as_deref(), Some("bridge"));
    assert_eq!(host.extra_hosts, Some(vec!["host.docker.internal:host-gateway".to_owned()]));
}

#[test]
fn command_and_runtime_are_passed_on() {
    let spec = ContainerSpec { command: vec!["sh".to_owned()], runtime: Some("runsc".to_owned()), ..spec() };
    let body = create_body(&spec, &Adaptation::DOCKER);

    assert_eq!(body.cmd, Some(vec!["sh".to_owned()]));
    assert_eq!(body.host_config.unwrap().runtime.as_deref(), Some("runsc"));
}

#[test]
fn more_than_docker_can_count_is_its_largest_number() {
    let limits = Limits { file_bytes: u64::MAX, ..spec().limits };
    let host = host_config(&ContainerSpec { limits, ..spec() }, &Adaptation::DOCKER);

    assert_eq!(host.ulimits.unwrap()[2].hard, Some(i64::MAX));
}

#[test]
fn states_of_a_container() {
    let state = |json| {
        let answer =
            serde_json::from_value(json!({"State": json, "Image": "0123", "Config": {"Labels": {"a": "b"}}})).unwrap();
        container_state(answer)
    };
    let labels = Labels::from([("a".to_owned(), "b".to_owned())]);
    let started = Some("2026-01-01T00:00:00Z".to_owned());
    // Podman leaves the name of the hash out.
    let image_id = "sha256:0123".to_owned();

    assert_eq!(
        state(json!({"Running": false, "ExitCode": 0, "OOMKilled": false, "StartedAt": "0001-01-01T00:00:00Z"})),
        ContainerState {
            running: false,
            exit_code: None,
            oom_killed: false,
            started_at: None,
            image_id: image_id.clone(),
            labels: labels.clone()
        },
        "created"
    );
    assert_eq!(
        state(json!({"Running": true, "ExitCode": 0, "OOMKilled": false, "StartedAt": "2026-01-01T00:00:00Z"})),
        ContainerState {
            running: true,
            exit_code: None,
            oom_killed: false,
            started_at: started.clone(),
            image_id: image_id.clone(),
            labels: labels.clone()
        },
        "running"
    );
    assert_eq!(
        state(json!({"Running": false, "ExitCode": 137, "OOMKilled": true, "StartedAt": "2026-01-01T00:00:00Z"})),
        ContainerState {
            running: false,
            exit_code: Some(137),
            oom_killed: true,
            started_at: started,
            image_id,
            labels
        },
        "killed"
    );
}

#[test]
fn engine_info_is_joined_from_both_answers() {
    let version = serde_json::from_value(json!({
        "Version": "20.10.24",
        "ApiVersion": "1.41",
        "Components": [{"Name": "Engine", "Version": "20.10.24"}, {"Name": "runc", "Version": "1.1.5"}],
    }));
    let info = serde_json::from_value(json!({
        "Name": "host", "Architecture": "x86_64", "MemTotal": 1024, "NCPU": 2, "CgroupVersion": "1",
        "Driver": "overlay2", "Runtimes": {"runsc": {"path": "runsc"}, "runc": {"path": "runc"}},
    }));

    assert_eq!(
        engine_info(version.unwrap(), info.unwrap(), "1.41".to_owned()),
        EngineInfo {
            name: "host".to_owned(),
            product: "Docker".to_owned(),
            version: "20.10.24".to_owned(),
            api_version: "1.41".to_owned(),
            architecture: "x86_64".to_owned(),
            memory_bytes: 1024,
            cpus: 2,
            cgroup_version: "1".to_owned(),
            storage_driver: "overlay2".to_owned(),
            runtimes: vec!["runc".to_owned(), "runsc".to_owned()],
            runc_version: Some("1.1.5".to_owned()),
            other_oci_runtime: None,
            selinux: false,
        }
    );
}

#[test]
fn podman_is_told_from_docker_and_uses_the_same_names() {
    let joined = |runtime: &str, version: &str, security: &[&str]| {
        let version = serde_json::from_value(json!({
            "Version": "4.3.1",
            "Components": [
                {"Name": "Podman Engine", "Version": "4.3.1"},
                {"Name": format!("OCI Runtime ({runtime})"), "Version": version},
            ],
        }));
        let info = serde_json::from_value(json!({"Architecture": "amd64", "SecurityOptions": security}));
        engine_info(version.unwrap(), info.unwrap(), "1.41".to_owned())
    };
    let info = joined("crun", "crun version 1.8.1\ncommit: f8a0\nspec: 1.0.0", &["name=seccomp,profile=default"]);
    assert_eq!((info.product.as_str(), info.architecture.as_str()), ("Podman", "x86_64"));
    assert_eq!((info.runc_version, info.other_oci_runtime.as_deref()), (None, Some("crun 1.8.1")));
    assert!(!info.selinux);

    let info = joined("runc", "runc version 1.1.5+ds1\ncommit: 1", &["name=seccomp,profile=default", "name=selinux"]);
    assert_eq!((info.runc_version.as_deref(), info.other_oci_runtime), (Some("1.1.5+ds1"), None));
    assert!(info.selinux);
}

#[test]
fn the_gateway_is_the_first_that_is_an_address_else_the_first_host() {
    let network = |config| serde_json::from_value(json!({"IPAM": {"Config": config}})).unwrap();

    assert_eq!(gateway(&network(json!([{"Subnet": "x"}, {"Gateway": "172.17.0.1"}]))), Some([172, 17, 0, 1].into()));
    assert_eq!(gateway(&network(json!([{"Subnet": "172.17.0.0/16"}]))), Some([172, 17, 0, 1].into()));
    assert_eq!(gateway(&network(json!([{"Subnet": "fd00::/64"}]))), None);
    assert_eq!(gateway(&network(json!([]))), None);
}

#[test]
fn the_seccomp_profile_allows_only_what_it_names() {
    let profile: serde_json::Value = serde_json::from_str(SECCOMP_PROFILE).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules = profile["syscalls"].as_array().unwrap();
    let names = |rule: &serde_json::Value| -> Vec<String> { serde_json::from_value(rule["names"].clone()).unwrap() };
    let allowed = |rule: &&serde_json::Value| rule["action"] == "SCMP_ACT_ALLOW";
    let without_condition: Vec<_> =
        rules.iter().filter(allowed).filter(|rule| rule.get("args").is_none()).flat_map(names).collect();
    for name in [
        "add_key",
        "bpf",
        "chroot",
        "clone",
        "clone3",
        "delete_module",
        "fanotify_init",
        "finit_module",
        "fsconfig",
        "fsmount",
        "fsopen",
        "init_module",
        "io_uring_enter",
        "io_uring_register",
        "io_uring_setup",
        "ioperm",
        "iopl",
        "kcmp",
        "kexec_file_load",
        "kexec_load",
        "keyctl",
        "lookup_dcookie",
        "modify_ldt",
        "mount",
        "mount_setattr",
        "move_mount",
        "open_by_handle_at",
        "open_tree",
        "perf_event_open",
        "personality",
        "pidfd_getfd",
        "pivot_root",
        "process_madvise",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
        "quotactl",
        "reboot",
        "request_key",
        "setns",
        "socket",
        "socketcall",
        "socketpair",
        "swapon",
        "syslog",
        "umount2",
        "unshare",
        "userfaultfd",
    ] {
        assert!(!without_condition.contains(&name.to_owned()), "{name} is allowed");
    }
    // Two conditions on one argument in one rule mean "or" to runc, so each rule has one condition.
    assert!(rules.iter().all(|rule| rule["args"].as_array().is_none_or(|args| args.len() == 1)));
}

#[test]
fn the_name_of_an_image_is_split_before_its_tag() {
    assert_eq!(repository_and_tag("claude-runner"), ("claude-runner", "latest"));
    assert_eq!(repository_and_tag("claude-runner:2"), ("claude-runner", "2"));
    assert_eq!(repository_and_tag("host:5000/team/runner"), ("host:5000/team/runner", "latest"));
    assert_eq!(repository_and_tag("host:5000/team/runner:2"), ("host:5000/team/runner", "2"));
}
