//! The configuration: a flag wins over an environment variable, that over `.env`, that over the default. Only this module reads
//! the environment, and it hands each crate the settings of that crate.

mod component_settings;
mod doctor;
mod dotenv;
mod egress;
mod engine_address;
mod error;
mod network;
mod traces;
mod value;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use reqwest::Url;
use secrecy::SecretString;

use agent_image::WantedVersion;
use api::settings::{ApiKeys, HostList, OriginList, TrustedProxies};
pub use doctor::DoctorOptions;
pub use dotenv::{EnvFile, EnvFileError, QUOTES, UnreadableLine, load_env_file};
pub use egress::{EgressList, PresetError};
pub use engine_address::{EngineAddressError, docker_engine, docker_host};
pub use error::ConfigError;
pub use network::{git_environment, is_unset_by_empty, variable};
pub use traces::trace_export;
pub use value::{
    ByteSize, CacheSize, CpuCount, Dollars, DrainMode, LogFormat, NetworkMode, Retention, RuleList, TaskRetention,
};

use api::access::Keys;
use cli::NetworkOptions;
use domain::age::Age;
use domain::webhook::WebhookSecrets;
use sandbox::Instance;
use sandbox::ResourceSet;

/// The agent image of an installation that names none.
pub const DEFAULT_IMAGE: &str = "claude-runner";

/// Settings of `claude-runner serve`. Each flag is also the environment variable of the same name in capitals.
#[derive(Args, Clone, Debug)]
pub struct ServeOptions {
    /// Address to listen on. An address other than loopback needs an API key
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// Port to listen on
    #[arg(long, env = "PORT", default_value_t = 3456)]
    pub port: u16,

    /// Model of a task that names none: any name that the model API takes, or a short name that Claude Code resolves, such as
    /// sonnet, opus, haiku or `opus[1m]`
    #[arg(long, env = "MODEL", default_value = "sonnet", value_parser = value::model_name)]
    pub model: String,

    /// Model round-trips of a task that sets no `maxTurns`
    #[arg(long, env = "MAX_TURNS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_turns: u32,

    /// Milliseconds that a task may take if it sets no `timeoutMs`
    #[arg(long, env = "TASK_TIMEOUT_MS", default_value_t = 600_000, value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub task_timeout_ms: u64,

    /// Milliseconds without output or model traffic after which a running task fails as stalled
    #[arg(long, env = "STALL_TIMEOUT_MS", default_value_t = 120_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub stall_timeout_ms: u64,

    /// Milliseconds in which the model API has to begin a streamed answer
    #[arg(long, env = "MODEL_ANSWER_TIMEOUT_MS", default_value_t = 45_000, value_parser = clap::value_parser!(u64).range(45_000..=600_000))]
    pub model_answer_timeout_ms: u64,

    /// Milliseconds after which the sandbox of an idle session is removed. Its files and its memory stay
    #[arg(long, env = "IDLE_TIMEOUT_MS", default_value_t = 300_000)]
    pub idle_timeout_ms: u64,

    /// Milliseconds after which a sandbox without a coordinator ends itself
    #[arg(long, env = "ORPHAN_TTL_MS", default_value_t = 600_000)]
    pub orphan_ttl_ms: u64,

    /// Milliseconds that a sandbox in which the files of a session without a sandbox are read is kept for the next reader
    #[arg(long, env = "FILES_IDLE_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(..=600_000))]
    pub files_idle_ms: u64,

    /// Milliseconds after which a client that reads nothing is disconnected, a WebSocket with close code 4008
    #[arg(long, env = "SUBSCRIBER_TIMEOUT_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub subscriber_timeout_ms: u64,

    /// Milliseconds that running tasks have to finish after SIGTERM
    #[arg(long, env = "DRAIN_TIMEOUT_MS", default_value_t = 30_000)]
    pub drain_timeout_ms: u64,

    /// Running tasks after SIGTERM. `finish`: they may finish within `DRAIN_TIMEOUT_MS`. `handoff`: the server exits at
    /// once, and the next start continues them
    #[arg(long, env = "DRAIN", default_value = "finish", value_enum)]
    pub drain: DrainMode,

    /// Tasks that may wait in the queue of one session
    #[arg(long, env = "MAX_QUEUE", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_queue: u32,

    /// The agent template: a directory with AGENTS.md and optionally OUTPUT.md, OUTPUT.schema.json, tools/ and agent.toml;
    /// or a directory that contains several of these
    #[arg(long, env = "AGENT_DIR", default_value = "./agent")]
    pub agent_dir: PathBuf,

    /// Directory of the store
    #[arg(long, env = "DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,

    /// Age and size that the event log may have: 30d or 12h, 10g or 500m, or both with a comma. Records stay.
    /// An empty value keeps all events
    #[arg(long, env = "EVENT_RETENTION", default_value = "30d,10g")]
    pub event_retention: Retention,

    /// Age, since their end, at which records of tasks are removed with their idempotency keys: 365d or 12h. Usage and budgets
    /// stay. An empty value keeps all tasks
    #[arg(long, env = "TASK_RETENTION", default_value = "365d")]
    pub task_retention: TaskRetention,

    /// Time for which a volume without a session is kept, counted from its first detection: 7d, 12h or 30m; 0 removes it at
    /// once. `claude-runner prune` removes it earlier
    #[arg(long, env = "ORPHAN_VOLUME_GRACE", default_value = "7d")]
    pub orphan_volume_grace: Age,

    /// File of the key that seals secrets in the store [default: secret.key in `DATA_DIR`, made on the first start]
    #[arg(long, env = "SECRET_KEY_FILE")]
    pub secret_key_file: Option<PathBuf>,

    /// Directory of the sandboxes' sockets. Its path must be short: a socket's path has at most 107 bytes [default: below
    /// /run or `XDG_RUNTIME_DIR`]
    #[arg(long, env = "RUNTIME_DIR")]
    pub runtime_dir: Option<PathBuf>,

    /// The agent image
    #[arg(long, env = "DOCKER_IMAGE", default_value = DEFAULT_IMAGE)]
    pub docker_image: String,

    /// Version of Claude Code in the agent image: a number like 2.1.332, or `latest`. `claude-runner image build` reads it too,
    /// and builds that version [default: the default of this release]
    #[arg(long, env = "CLAUDE_VERSION", default_value = "", hide_default_value = true)]
    pub claude_version: WantedVersion,

    /// `none`: a sandbox has no network and uses its link for everything. `bridge`: for engines whose containers cannot
    /// share a socket with this host
    #[arg(long, env = "SANDBOX_NETWORK", default_value = "none", value_enum)]
    pub sandbox_network: NetworkMode,

    /// Memory limit of a sandbox, like 2g or 512m
    #[arg(long, env = "SANDBOX_MEMORY", default_value = "2g")]
    pub sandbox_memory: ByteSize,

    /// CPU limit of a sandbox, like 2 or 0.5
    #[arg(long, env = "SANDBOX_CPUS", default_value = "2")]
    pub sandbox_cpus: CpuCount,

    /// Limit of processes and threads in a sandbox
    #[arg(long, env = "SANDBOX_PIDS", default_value_t = 512, value_parser = clap::value_parser!(u32).range(16..))]
    pub sandbox_pids: u32,

    /// Disk space that the files of a session may take, like 10g. A watchdog measures it while a task runs; it is no quota
    #[arg(long, env = "SANDBOX_DISK", default_value = "10g")]
    pub sandbox_disk: ByteSize,

    /// Limits of a sandbox that the engine need not hold, comma-separated: memory, pids, cpu. Without it, no task runs on an
    /// engine that ignores a limit, as a rootless engine may
    #[arg(long, env = "ALLOW_UNLIMITED", default_value = "")]
    pub allow_unlimited: ResourceSet,

    /// OCI runtime of sandboxes, like runsc. The engine must know it [default: the engine's]
    #[arg(long, env = "SANDBOX_RUNTIME")]
    pub sandbox_runtime: Option<String>,

    /// Sandboxes that may exist at once, warm ones included [default: the engine's memory divided by a quarter of
    /// `SANDBOX_MEMORY`, at least 4]
    #[arg(long, env = "MAX_SANDBOXES", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_sandboxes: Option<u32>,

    /// Warm sandboxes that are kept ready for new sessions; 0 turns this off
    #[arg(long, env = "WARM_SANDBOXES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub warm_sandboxes: u32,

    /// Milliseconds that a task waits for a free sandbox slot
    #[arg(long, env = "CAPACITY_TIMEOUT_MS", default_value_t = 600_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub capacity_timeout_ms: u64,

    /// Hosts that every sandbox may reach, comma-separated: host, host:port, *.domain, http://host:port or preset:NAME
    #[arg(long, env = "EGRESS_ALLOW", default_value = "")]
    pub egress_allow: EgressList,

    /// TOML file that defines the presets of `EGRESS_ALLOW`: NAME = ["host", …]
    #[arg(long, env = "EGRESS_PRESETS_FILE")]
    pub egress_presets_file: Option<PathBuf>,

    /// Bytes that a task may exchange with hosts other than the model API, like 10g
    #[arg(long, env = "EGRESS_MAX_BYTES", default_value = "10g")]
    pub egress_max_bytes: ByteSize,

    /// Secret that signs webhooks of tasks without a secret of their own: whsec_ and 24 to 64 bytes in base64. Several,
    /// comma-separated, each add a signature
    #[arg(long, env = "WEBHOOK_SECRET", default_value = "", hide_env_values = true)]
    pub webhook_secret: WebhookSecrets,

    /// Hosts that webhooks may reach besides the internet by https, comma-separated: host, host:port, *.domain or
    /// http://host:port
    #[arg(long, env = "WEBHOOK_ALLOW", default_value = "")]
    pub webhook_allow: RuleList,

    /// Attempts to deliver a webhook, the first included
    #[arg(long, env = "WEBHOOK_ATTEMPTS", default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub webhook_attempts: u32,

    /// Milliseconds before the second attempt to deliver a webhook; each later wait is four times as long, up to 6 hours
    #[arg(long, env = "WEBHOOK_RETRY_MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    pub webhook_retry_ms: u64,

    /// Disk space of the repository mirrors below `DATA_DIR`, like 20g; 0 keeps no mirrors
    #[arg(long, env = "REPOSITORY_CACHE", default_value = "20g")]
    pub repository_cache: CacheSize,

    /// Address of the model API
    #[arg(long, env = "ANTHROPIC_BASE_URL", default_value = "https://api.anthropic.com")]
    pub anthropic_base_url: String,

    /// API key for model requests
    #[arg(long, env = "ANTHROPIC_API_KEY", hide_env_values = true)]
    pub anthropic_api_key: Option<SecretString>,

    /// OAuth token for model requests. Without key and token, the login in ~/.claude/.credentials.json is used
    #[arg(long, env = "CLAUDE_CODE_OAUTH_TOKEN", hide_env_values = true)]
    pub claude_code_oauth_token: Option<SecretString>,

    /// Answer with a scripted model instead of Claude, to try the server without a credential
    #[arg(long, env = "SCRIPTED", default_value = "false", action = clap::ArgAction::Set, default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = clap::builder::BoolishValueParser::new())]
    pub scripted: bool,

    /// Token that reads and writes repositories. It never enters a sandbox
    #[arg(long, env = "GITHUB_TOKEN", hide_env_values = true)]
    pub github_token: Option<SecretString>,

    /// Id of a GitHub App, which replaces the token
    #[arg(long, env = "GITHUB_APP_ID")]
    pub github_app_id: Option<u64>,

    /// File with the App's private key in PEM form
    #[arg(long, env = "GITHUB_APP_PRIVATE_KEY_FILE")]
    pub github_app_private_key_file: Option<PathBuf>,

    /// Address that repositories are cloned from; change it for GitHub Enterprise
    #[arg(long, env = "GITHUB_URL", default_value = "https://github.com")]
    pub github_url: Url,

    /// Address of the forge's API; `/api/v3` of an Enterprise server
    #[arg(long, env = "GITHUB_API_URL", default_value = "https://api.github.com")]
    pub github_api_url: Url,

    /// Allow repository tasks to push changes of `.github/workflows`, which the forge executes
    #[arg(long, env = "ALLOW_WORKFLOW_CHANGES", default_value_t = false, action = clap::ArgAction::Set)]
    pub allow_workflow_changes: bool,

    /// The image of repository tasks
    #[arg(long, env = "REPOSITORY_IMAGE", default_value = "claude-runner-repository")]
    pub repository_image: String,

    /// Milliseconds until the agent of a repository task must be able to begin in its clone
    #[arg(long, env = "ORCHESTRATOR_TIMEOUT_MS", default_value_t = 1_200_000, value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub orchestrator_timeout_ms: u64,

    /// Milliseconds that the agent of a repository task may work if the task sets no `timeoutMs`
    #[arg(long, env = "WORKER_TIMEOUT_MS", default_value_t = 3_600_000, value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub worker_timeout_ms: u64,

    /// Directory with orchestrator.md and worker.md, which replace the built-in prompts of repository tasks. Either may be
    /// missing
    #[arg(long, env = "PROMPT_DIR")]
    pub prompt_dir: Option<PathBuf>,

    /// US dollars that a session may cost in total [default: no limit]
    #[arg(long, env = "MAX_SESSION_COST_USD")]
    pub max_session_cost_usd: Option<Dollars>,

    /// US dollars that all tasks together may cost in one day (UTC) [default: no limit]
    #[arg(long, env = "MAX_DAY_COST_USD")]
    pub max_day_cost_usd: Option<Dollars>,

    /// US dollars that all tasks together may cost in total [default: no limit]
    #[arg(long, env = "MAX_TOTAL_COST_USD")]
    pub max_total_cost_usd: Option<Dollars>,

    /// JSON file with prices per model. It overrides the built-in prices
    #[arg(long, env = "MODEL_PRICES")]
    pub model_prices: Option<PathBuf>,

    /// URL of a table like `MODEL_PRICES`, which is fetched daily. It adds models and raises prices, and never lowers a built-in one
    #[arg(long, env = "MODEL_PRICES_URL", hide_env_values = true)]
    pub model_prices_url: Option<Url>,

    /// API keys with all rights, comma-separated, each of at least 32 characters. `claude-runner key` makes keys with fewer
    /// rights. Once there is a key, every request needs one as `Authorization: Bearer`
    #[arg(long, env = "API_KEYS", default_value = "", hide_env_values = true)]
    pub api_keys: ApiKeys,

    /// Requests per minute of one API key, bursts included; 0 sets no limit
    #[arg(long, env = "RATE_LIMIT", default_value_t = 6000)]
    pub rate_limit: u32,

    /// Format of the server's log: `text`, or `json` with one object a line
    #[arg(long, env = "LOG_FORMAT", default_value = "text", value_enum)]
    pub log_format: LogFormat,

    /// File of the audit log; `-` writes it to the server's log [default: audit.log in `DATA_DIR`]
    #[arg(long, env = "AUDIT_LOG")]
    pub audit_log: Option<PathBuf>,

    /// Age and size that the files of the audit log may have, in the form of EVENT_RETENTION. An empty value keeps all
    #[arg(long, env = "AUDIT_RETENTION", default_value = "10g")]
    pub audit_retention: Retention,

    #[command(flatten)]
    pub network: NetworkOptions,

    /// Origins whose pages may call the API (CORS), comma-separated; none by default
    #[arg(long, env = "CORS_ORIGINS", default_value = "")]
    pub cors_origins: OriginList,

    /// Further host names of the server, comma-separated, with or without a port, as a reverse proxy forwards them. Loopback
    /// and `HOST` are always allowed
    #[arg(long, env = "ALLOWED_HOSTS", default_value = "")]
    pub allowed_hosts: HostList,

    /// Networks of reverse proxies, comma-separated; none by default. From these, the address of a caller is the last untrusted
    /// one in `X-Forwarded-For`, or the one of the PROXY protocol
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "")]
    pub trusted_proxies: TrustedProxies,
}

impl ServeOptions {
    /// Requires an API key where the server listens beyond loopback.
    pub fn check_keys(&self, keys: &Keys) -> Result<(), ConfigError> {
        if !self.host.is_loopback() && keys.is_empty() {
            return Err(ConfigError::OpenWithoutKeys(self.host));
        }
        Ok(())
    }

    /// The file of the audit log. `None`: the server's own log.
    pub fn audit_log(&self) -> Option<PathBuf> {
        match &self.audit_log {
            Some(path) if path.as_os_str() == "-" => None,
            Some(path) => Some(path.clone()),
            None => Some(self.data_dir.join("audit.log")),
        }
    }

    /// RUNTIME_DIR, or a short directory of this user and this installation. A sandbox sees the path among its mounts, so it
    /// does not contain the installation's name.
    pub fn runtime_dir(&self, instance: &Instance) -> PathBuf {
        self.runtime_dir.clone().unwrap_or_else(|| {
            let base = if nix::unistd::geteuid().is_root() {
                PathBuf::from("/run")
            } else {
                std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
            };
            // The directory of an earlier version, which has the sockets of running sandboxes.
            let earlier = base.join(format!("claude-runner-{}", instance.as_str()));
            if earlier.is_dir() { earlier } else { base.join(format!("claude-runner-{}", instance.alias())) }
        })
    }
}
