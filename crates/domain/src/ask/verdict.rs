//! A call of a tool against a policy. Deny wins over ask, ask over allow; of a compound command the strictest part counts.

use serde::Deserialize;

use super::command::{Concerns, concerns, is_described};
use super::policy::{AskPolicy, Stance};
use super::record::{AskDecision, Remembered};
use super::shell::{Part, SimpleCommand, split};
use super::{Rule, path};

/// Tools that only keep the agent's own notes: without a rule for them they are neither asked nor denied.
const OWN_NOTES: [&str; 7] =
    ["StructuredOutput", "TaskCreate", "TaskGet", "TaskList", "TaskUpdate", "TodoWrite", "ToolSearch"];

/// The longest rule that a call is remembered by.
const MAX_REMEMBERED: usize = 500;

/// The longest file or address that is compared with rules; the longest path of Linux.
const MAX_SUBJECT: usize = 4096;

/// A call of a tool, as far as rules look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    pub tool: String,
    /// The command of Bash, the file of a tool that reads or writes one, or the address of WebFetch.
    subject: Option<String>,
}

/// The verdict of a policy on a call. Later ones are stricter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A rule allows it.
    Allow,
    /// No rule decides, and calls that no rule decides are allowed. The CLI's permission mode still counts.
    Undecided,
    /// With the rule, if one decided.
    Ask(Option<Rule>),
    Deny(Option<Rule>),
}

impl ToolCall {
    /// `input`: the JSON of the tool's input. One that cannot be read has no subject, so that no rule with a text allows it.
    pub fn new(tool: &str, input: &str) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Input {
            command: Option<String>,
            file_path: Option<String>,
            notebook_path: Option<String>,
            path: Option<String>,
            pattern: Option<String>,
            url: Option<String>,
        }
        let input: Input = serde_json::from_str(input).unwrap_or_default();
        let subject = match tool {
            "Bash" => input.command,
            "WebFetch" => input.url,
            // Such a pattern names a directory of its own.
            "Glob"
                if input
                    .pattern
                    .as_deref()
                    .is_some_and(|pattern| pattern.starts_with('/') || pattern.contains("..")) =>
            {
                None
            }
            "Grep" | "Glob" | "LS" => Some(input.path.unwrap_or_else(|| crate::sandbox::WORKSPACE.to_owned())),
            "NotebookEdit" | "NotebookRead" => input.notebook_path,
            _ => input.file_path,
        };
        ToolCall { tool: tool.to_owned(), subject }
    }
}

impl Verdict {
    const fn strictness(&self) -> u8 {
        match self {
            Verdict::Allow => 0,
            Verdict::Undecided => 1,
            Verdict::Ask(_) => 2,
            Verdict::Deny(_) => 3,
        }
    }

    fn strictest(self, other: Verdict) -> Verdict {
        if other.strictness() > self.strictness() { other } else { self }
    }
}

impl AskPolicy {
    /// Judges a call by the rules and by the decisions that were remembered.
    pub fn judge(&self, call: &ToolCall, remembered: &[Remembered]) -> Verdict {
        let verdict = self.judge_by_rules(call);
        let kept = |decision| {
            remembered
                .iter()
                .find(|kept| kept.decision == decision && is_exactly(&kept.rule, call))
                .map(|kept| &kept.rule)
        };
        if let (Some(rule), false) = (kept(AskDecision::Deny), matches!(verdict, Verdict::Deny(_))) {
            return Verdict::Deny(Some(rule.clone()));
        }
        match verdict {
            // Without a verdict, the CLI's permission mode asks.
            Verdict::Ask(_) | Verdict::Undecided if kept(AskDecision::Allow).is_some() => Verdict::Allow,
            verdict => verdict,
        }
    }

    /// The rule that denies a call, if there is one.
    pub fn denies(&self, call: &ToolCall) -> Option<Rule> {
        match self.judge_by_rules(call) {
            Verdict::Deny(rule) => rule,
            Verdict::Allow | Verdict::Undecided | Verdict::Ask(_) => None,
        }
    }

    fn judge_by_rules(&self, call: &ToolCall) -> Verdict {
        match (call.tool.as_str(), &call.subject) {
            ("Bash", Some(command)) => self.judge_bash(command),
            _ => self.judge_plain(call),
        }
    }

    fn judge_plain(&self, call: &ToolCall) -> Verdict {
        let find = |rules: &[Rule]| {
            let found = rules.iter().map(|rule| (concerns_call(rule, call), rule));
            found.max_by_key(|(concerns, _)| *concerns).map(|(concerns, rule)| (concerns, rule.clone()))
        };
        match find(&self.deny) {
            Some((Concerns::Yes, rule)) => return Verdict::Deny(Some(rule)),
            Some((Concerns::Perhaps, rule)) => return Verdict::Ask(Some(rule)),
            Some((Concerns::No, _)) | None => {}
        }
        if let Some((Concerns::Yes | Concerns::Perhaps, rule)) = find(&self.ask) {
            return Verdict::Ask(Some(rule));
        }
        if matches!(find(&self.allow), Some((Concerns::Yes, _))) || self.is_own_note(&call.tool) {
            return Verdict::Allow;
        }
        self.judge_rest()
    }

    fn is_own_note(&self, tool: &str) -> bool {
        self.tools != Stance::Allow && OWN_NOTES.contains(&tool)
    }

    const fn judge_rest(&self) -> Verdict {
        match self.tools {
            Stance::Allow => Verdict::Undecided,
            Stance::Ask => Verdict::Ask(None),
            Stance::Deny => Verdict::Deny(None),
        }
    }

    fn judge_bash(&self, text: &str) -> Verdict {
        let text = text.trim();
        let [deny, ask, allow] = [&self.deny, &self.ask, &self.allow]
            .map(|list| list.iter().filter(|rule| rule.is_about("Bash")).collect::<Vec<_>>());
        if let Some(rule) = deny.iter().find(|rule| rule.of.is_none()) {
            return Verdict::Deny(Some((*rule).clone()));
        }
        let Ok(parts) = split(text) else { return self.judge_unsplit(text, &deny, &ask, &allow) };
        let changes_directory = parts.iter().any(changes_directory);
        let judged = parts.iter().map(|part| match part {
            Part::Command(command) => match (strictest_of(&deny, command), strictest_of(&ask, command)) {
                (Some((Concerns::Yes, rule)), _) => Verdict::Deny(Some(rule)),
                (Some((_, rule)), _) | (None, Some((_, rule))) => Verdict::Ask(Some(rule)),
                (None, None) if describes(&allow, &command.text) => Verdict::Allow,
                (None, None) => self.judge_rest(),
            },
            Part::Write(Some(file)) if file.starts_with('/') || !changes_directory => {
                self.judge_plain(&ToolCall { tool: "Write".to_owned(), subject: Some(file.clone()) })
            }
            Part::Write(_) => self.judge_unknown_file(),
        });
        judged.fold(Verdict::Allow, Verdict::strictest)
    }

    /// A text that cannot be split for certain is asked, unless nothing could decide about it.
    fn judge_unsplit(&self, text: &str, deny: &[&Rule], ask: &[&Rule], allow: &[&Rule]) -> Verdict {
        let describes_it = |rule: &&&Rule| rule.of.as_ref().is_some_and(|of| is_described(of, text));
        if let Some(rule) = deny.iter().find(describes_it) {
            return Verdict::Deny(Some((*rule).clone()));
        }
        if let Some(rule) = ask.iter().find(|rule| rule.of.is_none()) {
            return Verdict::Ask(Some((*rule).clone()));
        }
        let has_texts = [deny, ask, allow].iter().any(|rules| rules.iter().any(|rule| rule.of.is_some()));
        if !has_texts && !allow.is_empty() {
            return Verdict::Allow;
        }
        if has_texts || self.tools != Stance::Allow { Verdict::Ask(None) } else { Verdict::Undecided }
    }

    /// A write to a file whose name is not known.
    fn judge_unknown_file(&self) -> Verdict {
        let about = |rules: &[Rule]| rules.iter().find(|rule| rule.is_about("Write")).cloned();
        if let Some(rule) = about(&self.deny).or_else(|| about(&self.ask)) {
            return Verdict::Ask(Some(rule));
        }
        let allows_all = self.allow.iter().any(|rule| rule.is_about("Write") && rule.of.is_none());
        if allows_all { Verdict::Allow } else { self.judge_rest() }
    }
}

/// The rule that concerns a command most, if one does.
fn strictest_of(rules: &[&Rule], command: &SimpleCommand) -> Option<(Concerns, Rule)> {
    let concern = |rule: &Rule| rule.of.as_ref().map_or(Concerns::Yes, |of| concerns(of, command));
    let found = rules.iter().map(|rule| (concern(rule), *rule)).max_by_key(|(concerns, _)| *concerns)?;
    (found.0 != Concerns::No).then(|| (found.0, found.1.clone()))
}

/// True if one of the rules allows the command as it is written.
fn describes(rules: &[&Rule], text: &str) -> bool {
    rules.iter().any(|rule| rule.of.as_ref().is_none_or(|of| is_described(of, text)))
}

/// The names of files in later redirections may mean others after this part.
fn changes_directory(part: &Part) -> bool {
    let Part::Command(command) = part else { return false };
    let moves = |word: &Option<String>| word.as_deref().is_none_or(|word| matches!(word, "cd" | "pushd" | "popd"));
    let may_move = |word: &String| matches!(word.as_str(), "cd" | "pushd" | "popd" | "eval" | "source" | ".");
    command.words.first().is_some_and(moves) || command.words.iter().flatten().any(may_move)
}

fn concerns_call(rule: &Rule, call: &ToolCall) -> Concerns {
    if !rule.is_about(&call.tool) {
        return Concerns::No;
    }
    let Some(of) = &rule.of else { return Concerns::Yes };
    if call.subject.as_ref().is_some_and(|subject| subject.len() > MAX_SUBJECT) {
        return Concerns::Perhaps;
    }
    match (rule.tool.as_str(), &call.subject) {
        // A call without a readable subject may be about anything.
        (_, None) => Concerns::Perhaps,
        ("WebFetch", Some(address)) => concerns_host(of, address),
        ("Read", Some(file)) if matches!(call.tool.as_str(), "Grep" | "Glob" | "LS") => {
            // A search sees everything below its directory.
            if path::matches(of, &path::absolute(file)) { Concerns::Yes } else { Concerns::Perhaps }
        }
        ("Read" | "Edit", Some(file)) => {
            if path::matches(of, &path::absolute(file)) {
                Concerns::Yes
            } else {
                Concerns::No
            }
        }
        (_, Some(_)) => Concerns::No,
    }
}

fn concerns_host(of: &str, address: &str) -> Concerns {
    let wanted = of.strip_prefix("domain:").unwrap_or(of).to_ascii_lowercase();
    let Some(host) = host_of(address) else { return Concerns::Perhaps };
    let is_wanted = match wanted.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
        None => host == wanted,
    };
    if is_wanted { Concerns::Yes } else { Concerns::No }
}

fn host_of(address: &str) -> Option<String> {
    Some(url::Url::parse(address).ok()?.host_str()?.to_ascii_lowercase())
}

/// The rule by which exactly this call is remembered. `None`: no rule describes exactly this call.
pub fn rule_to_remember(call: &ToolCall) -> Option<Rule> {
    let of = match (call.tool.as_str(), &call.subject) {
        ("Bash", Some(command)) => Some(command.trim().to_owned()).filter(|of| !of.is_empty() && !of.contains('*')),
        ("Read", Some(file)) => exact_file(file),
        ("Edit" | "Write" | "NotebookEdit" | "MultiEdit", Some(file)) => {
            return Some(Rule { tool: "Edit".to_owned(), of: Some(exact_file(file)?) });
        }
        ("WebFetch", Some(address)) => Some(format!("domain:{}", host_of(address)?)),
        ("Bash" | "Read" | "Edit" | "Write" | "NotebookEdit" | "MultiEdit" | "WebFetch", None) => None,
        _ => return Some(Rule::of_tool(&call.tool)),
    };
    let of = of.filter(|of| of.len() <= MAX_REMEMBERED)?;
    Some(Rule { tool: call.tool.clone(), of: Some(of) })
}

fn exact_file(file: &str) -> Option<String> {
    let full = path::absolute(file);
    (!path::has_wildcards(&full) && full.len() <= MAX_REMEMBERED).then(|| format!("/{full}"))
}

/// True if a remembered rule is about this call: a command is compared as a whole.
fn is_exactly(rule: &Rule, call: &ToolCall) -> bool {
    match (&rule.of, &call.subject) {
        (Some(of), Some(command)) if call.tool == "Bash" && rule.tool == "Bash" => command.trim() == of,
        _ => concerns_call(rule, call) == Concerns::Yes,
    }
}
