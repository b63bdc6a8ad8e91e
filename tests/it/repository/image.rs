//! The image of repository tasks, built like an operator builds it, and the tools in it.

use std::process::{Command, Output};

use crate::server::{Setup, agent_image};

const NAME: &str = "claude-runner-repository";

async fn claude_runner(arguments: &'static [&'static str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-runner"));
    command.args(arguments).current_dir("/").env("DOCKER_IMAGE", agent_image()).env("REPOSITORY_IMAGE", NAME);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The command of each line prints the text after `=>`.
const TOOLS: &str = r#"
set -e; cd /workspace
mkdir -p package/bin && cd package
echo '{"name":"hello","version":"1.0.0","bin":{"hello":"bin/hello.js"}}' > package.json
printf '#!/usr/bin/env node\nconsole.log("npm writes below the home")\n' > bin/hello.js && chmod +x bin/hello.js
npm install --silent --offline --global . && hello && npm prefix --global
cd .. && printf 'from setuptools import setup\nsetup(name="x", version="1", py_modules=["x"])\n' > setup.py
echo 'print("pip does too")' > x.py
pip install --quiet --no-index --no-build-isolation --no-warn-script-location . && cd / && python3 -m x && cd /workspace
python3 -m venv venv && venv/bin/python -c 'print("there are environments")'
printf '#include <cstdio>\nint main() { std::puts("and a compiler"); }\n' > a.cc && make --silent a && ./a
git lfs version | cut -d/ -f1; git config --system filter.lfs.smudge; ssh -V 2>&1 | cut -d_ -f1
"#;

const PRINTED: &str = "npm writes below the home\n/home/agent/.local\npip does too\nthere are environments\nand a compiler\n\
                       git-lfs\ngit-lfs smudge --skip -- %f\nOpenSSH";

#[tokio::test]
async fn an_agent_has_what_projects_are_built_with() {
    claude_runner(&["image", "build", "--repository"]).await;
    let again = claude_runner(&["image", "build", "--repository"]).await;
    assert!(String::from_utf8_lossy(&again.stderr).contains("up to date"), "{again:?}");

    let server = Setup::new().env("DOCKER_IMAGE", NAME).template_file("tools.sh", TOOLS, 0o755).start().await;
    assert_eq!(server.say("s", "bash:bash tools.sh 2>&1").await, format!("done: {PRINTED}"));
    server.finish().await;

    let presets = String::from_utf8(claude_runner(&["image", "presets"]).await.stdout).unwrap();
    let names: Vec<_> =
        presets.lines().filter_map(|line| line.split_once(" = [\"https://")).map(|(name, _)| name).collect();
    assert_eq!(names, ["npm", "pypi"], "{presets}");
    let list: coordinator::config::EgressList = "preset:npm,preset:pypi".parse().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &presets).unwrap();
    assert_eq!(list.rules(Some(file.path())).unwrap().len(), 3, "{presets}");
}
