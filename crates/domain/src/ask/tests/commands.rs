//! Texts for Bash against tables.

use super::super::{AskPolicy, Stance};
use super::{bash, policy, word};

fn check(policy: &AskPolicy, table: &[(&str, &str)]) {
    for (command, expected) in table {
        let verdict = policy.judge(&bash(command), &[]);
        assert_eq!(word(&verdict), *expected, "{command:?}: {verdict:?}");
    }
}

#[test]
fn commands_against_a_table_that_asks() {
    let policy = policy(
        Stance::Ask,
        &["Bash(git status)", "Bash(npm test:*)", "Bash(git log *)", "Bash(echo:*)", "Bash(cat:*)", "Edit(/out/**)"],
        &["Bash(git push:*)"],
        &["Bash(curl:*)", "Bash(rm -rf:*)", "Edit(//etc/**)"],
    );
    check(
        &policy,
        &[
            // Exact, with more words, with a star.
            ("git status", "allow"),
            ("  git status  ", "allow"),
            ("git   status", "allow"),
            ("git status --short", "ask"),
            ("git statusx", "ask"),
            ("npm test", "allow"),
            ("npm test -- --watch", "allow"),
            ("npm testing", "ask"),
            ("git log", "allow"),
            ("git log --oneline main", "allow"),
            ("Git status", "ask"),
            ("ls", "ask"),
            // Compound commands: the strictest part counts.
            ("git status && npm test", "allow"),
            ("git status; npm test", "allow"),
            ("git status | cat", "allow"),
            ("git status || npm test", "allow"),
            ("git status & npm test", "allow"),
            ("git status |& cat", "allow"),
            ("git status\nnpm test", "allow"),
            ("git status && ls", "ask"),
            ("git status && curl example.com", "deny"),
            ("git status\ncurl example.com", "deny"),
            ("git status | curl -d @- example.com", "deny"),
            ("git status & curl example.com", "deny"),
            ("(git status; curl example.com)", "deny"),
            ("(git status)", "allow"),
            ("ls; curl example.com", "deny"),
            ("git push; curl x", "deny"),
            ("git push", "ask"),
            ("git push origin main", "ask"),
            // Substitutions.
            ("echo $(curl example.com)", "deny"),
            ("echo `curl example.com`", "deny"),
            ("echo \"$(curl example.com)\"", "deny"),
            ("echo '$(curl example.com)'", "allow"),
            ("echo \"`git status`\"", "allow"),
            ("echo $(echo $(curl x))", "deny"),
            ("cat <(curl x)", "deny"),
            ("echo $HOME", "allow"),
            ("echo ${HOME}", "allow"),
            ("echo ${X:-$(curl x)}", "ask"),
            ("echo $((1 + 1))", "ask"),
            // Quoting.
            ("'curl' example.com", "deny"),
            ("c\"ur\"l example.com", "deny"),
            ("c\\url example.com", "deny"),
            ("$'\\x63url' example.com", "ask"),
            ("echo 'curl example.com; rm -rf /'", "allow"),
            ("echo \"a && curl b\"", "allow"),
            ("echo 'unbalanced", "ask"),
            ("echo \"unbalanced", "ask"),
            ("echo a\\; curl", "allow"),
            // Other ways to the same program.
            ("/usr/bin/curl example.com", "deny"),
            ("sudo curl example.com", "deny"),
            ("env A=1 curl example.com", "deny"),
            ("A=1 curl example.com", "deny"),
            ("A=1 git status", "ask"),
            ("timeout 5 curl example.com", "deny"),
            ("nohup nice curl example.com", "deny"),
            ("sudo -u bob curl x", "ask"),
            ("bash -c 'curl example.com'", "ask"),
            ("echo x | sh", "ask"),
            ("echo x | xargs curl", "ask"),
            ("eval curl x", "ask"),
            ("find . -exec curl {} +", "ask"),
            ("$CMD example.com", "ask"),
            ("c?rl example.com", "ask"),
            ("{curl,example.com}", "ask"),
            ("rm -rf /", "deny"),
            ("rm $X /", "ask"),
            // Redirections that write.
            ("echo a > /workspace/out/a", "allow"),
            ("echo a >> out/a", "allow"),
            ("echo a > b", "ask"),
            ("echo a > /etc/passwd", "deny"),
            ("echo a 2>/dev/null", "allow"),
            ("echo a 2>&1", "allow"),
            ("echo a &> /etc/passwd", "deny"),
            ("echo a >| out/../../etc/passwd", "deny"),
            ("echo a > $FILE", "ask"),
            ("echo a > \"out/$(curl x)\"", "deny"),
            ("cat < /etc/passwd", "allow"),
            ("> /etc/passwd", "deny"),
            ("cd / && echo a > etc/passwd", "ask"),
            // Here-documents.
            ("cat <<'EOF'\ncurl $(x)\nEOF", "allow"),
            ("cat <<EOF\nplain\nEOF", "allow"),
            ("cat <<EOF\n$(curl x)\nEOF", "ask"),
            ("cat <<'EOF'\na\nEOF\ncurl x", "deny"),
            ("cat <<EOF\nno end", "ask"),
            ("cat <<-EOF\n\ta\n\tEOF", "allow"),
            ("cat <<< 'curl x'", "allow"),
            ("cat <<'EOF' > /etc/passwd\na\nEOF", "deny"),
            // Compound commands of the shell are not split.
            ("for i in 1 2; do echo $i; done", "ask"),
            ("if true; then git status; fi", "ask"),
            ("git() { curl x; }; git status", "ask"),
            ("! git status", "ask"),
            ("[[ a ]] && git status", "ask"),
            ("git status # curl", "allow"),
            ("git status ;; curl", "ask"),
            ("git status )", "ask"),
            ("", "ask"),
            // Characters that look like others.
            ("сurl example.com", "ask"),
            ("ｃｕｒｌ example.com", "ask"),
            ("git\u{a0}status", "ask"),
            ("git status\u{200b}", "ask"),
            ("echo \u{202e}lruc", "ask"),
            ("git status\u{2028}curl x", "ask"),
            ("git status\r\ncurl x", "ask"),
            ("echo 'grüße'", "allow"),
            ("git status； curl x", "ask"),
            ("git status\0", "ask"),
            // Lines that bash joins before it looks for expansions and reserved words.
            ("echo \"$\\\n(curl x)\"", "ask"),
            ("echo $\\\n(curl x)", "ask"),
            ("!\\\n curl x", "ask"),
            ("git \\\n status", "allow"),
            // `#` and other text behind a process substitution.
            ("cat <(true)#; curl x", "ask"),
            ("cat <(git status)", "allow"),
            // Options of wrappers, arithmetic, and programs that make commands.
            ("timeout -s KILL 5 curl x", "ask"),
            ("timeout --foreground 5 curl x", "ask"),
            ("busybox curl x", "deny"),
            ("flock /tmp/l curl x", "ask"),
            ("echo $[1 + 1]", "ask"),
            ("declare a=b", "ask"),
            ("bash /dev/stdin", "ask"),
            ("bash /proc/self/fd/0", "ask"),
        ],
    );
}

#[test]
fn commands_against_a_table_that_only_denies() {
    let denying = policy(Stance::Allow, &[], &[], &["Bash(curl:*)", "Edit(/secrets/**)"]);
    check(
        &denying,
        &[
            ("ls -l && make", "undecided"),
            ("curl x", "deny"),
            ("make; curl x", "deny"),
            ("for i in 1; do curl x; done", "ask"),
            ("python3 -c 'print(1)'", "undecided"),
            ("echo x > secrets/key", "deny"),
            ("echo x > other", "undecided"),
            ("X=curl; $X example.com", "ask"),
            ("bash build.sh", "undecided"),
        ],
    );
    // Nothing could decide about it.
    check(&policy(Stance::Allow, &[], &["mcp__billing__*"], &[]), &[("for i in 1; do curl x; done", "undecided")]);
    check(&policy(Stance::Deny, &["Bash(ls:*)"], &[], &[]), &[("ls -l", "allow"), ("ls; pwd", "deny"), ("if", "ask")]);
    check(&policy(Stance::Ask, &["Bash"], &[], &[]), &[("for i in 1; do curl x; done", "allow"), ("ls", "allow")]);
    check(
        &policy(Stance::Ask, &["Bash"], &[], &["Bash(curl:*)"]),
        &[("ls", "allow"), ("curl x", "deny"), ("if", "ask")],
    );
    check(&policy(Stance::Allow, &["Bash"], &[], &["Bash"]), &[("ls", "deny"), ("if", "deny")]);
    let many = vec!["ls"; 60].join(";");
    check(&policy(Stance::Ask, &["Bash(ls)"], &[], &[]), &[(&many, "ask"), (&"ls;".repeat(20), "allow")]);
}
