use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;

fn measure(root: &std::path::Path) -> Measured {
    Walk { roots: vec![root.to_owned()], closed: HashSet::new() }.measure()
}

#[test]
fn who_begins_over_the_limit_may_go_on_a_little() {
    let mib = 1 << 20;
    assert_eq!(disk_budget(100 * mib, 0), 100 * mib);
    assert_eq!(disk_budget(100 * mib, 99 * mib), 115 * mib);
    assert_eq!(disk_budget(100 * mib, 105 * mib), 121 * mib);
    assert_eq!(disk_budget(100 * mib, 500 * mib), 125 * mib);
    assert_eq!(disk_budget(u64::MAX, 5), u64::MAX);
}

#[test]
fn blocks_are_counted_once_and_not_sizes_or_targets() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    assert_eq!(measure(root).bytes, 0);
    fs::write(root.join("file"), vec![1; 1 << 20]).unwrap();
    let one = measure(root).bytes;
    assert!(((1 << 20)..(1 << 20) + 65_536).contains(&one), "{one}");

    fs::hard_link(root.join("file"), root.join("again")).unwrap();
    assert_eq!(measure(root).bytes, one, "a second name");
    symlink("/", root.join("-rf\n\u{fffd}")).unwrap();
    fs::File::create(root.join("sparse")).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(measure(root).bytes, one + 2 * LEAST_BYTES, "a link out of it and a hole of 1 TiB");
    nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(measure(root).bytes, one + 3 * LEAST_BYTES, "a FIFO without a writer");
}

#[test]
fn a_path_that_is_too_long_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let deep =
        "n=$(printf 'x%.0s' $(seq 200)); for i in $(seq 30); do mkdir $n && cd $n || exit 1; done; echo 1 > file";
    let made = Command::new("bash").args(["-c", deep]).current_dir(directory.path()).status().unwrap();
    assert!(made.success());
    assert!(measure(directory.path()).hidden);
    // `rm` descends step by step, which such a long path requires.
    Command::new("rm").arg("-rf").arg(directory.path()).status().unwrap();
}
