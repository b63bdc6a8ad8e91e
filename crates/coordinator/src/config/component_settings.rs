//! The settings of each crate, made from the configuration.

use std::sync::Arc;
use std::time::Duration;

use domain::budget::InstallationLimits;
use engine::{Limits, Network};
use forge::{AppKey, GitHub, GitHubCredential, GitHubSettings};
use gateway::{Credential, Credentials, Gateway, GatewaySettings, PriceFeed, Prices, SystemResolver, Workflows};
use mock_api::scripted_model::DEFAULT_KEY;
use observe::audit::AuditRetention;
use observe::metrics::Metrics;
use sandbox::capacity::{Capacity, FEW_SANDBOXES, MemoryGauge};
use sandbox::{LimitProof, SandboxSettings, WarmSettings};
use secrecy::ExposeSecret as _;
use sessions::repository::{MirrorSettings, Prompts, Repositories, RepositorySettings};
use sessions::session::SessionSettings;
use sessions::webhook::RetrySchedule;
use store::StoreOptions;

use super::{ConfigError, Dollars, DrainMode, NetworkMode, ServeOptions, variable};

impl ServeOptions {
    pub fn sandbox_settings(&self) -> SandboxSettings {
        SandboxSettings {
            image: self.docker_image.clone(),
            claude: self.claude_version,
            network: match self.sandbox_network {
                NetworkMode::None => Network::None,
                NetworkMode::Bridge => Network::Bridge,
            },
            limits: Limits::new(self.sandbox_memory.bytes(), self.sandbox_cpus.nano_cpus(), self.sandbox_pids),
            runtime: self.sandbox_runtime.clone(),
            limit_proof: LimitProof::Required { except: self.allow_unlimited.clone() },
            disk_bytes: self.sandbox_disk.bytes(),
            orphan_ttl: Duration::from_millis(self.orphan_ttl_ms),
            files_idle: Duration::from_millis(self.files_idle_ms),
        }
    }

    pub fn gateway_settings(&self, prices: Prices) -> Result<GatewaySettings, ConfigError> {
        let upstream =
            self.anthropic_base_url.parse().map_err(|_| ConfigError::Upstream(self.anthropic_base_url.clone()))?;
        let mut settings = GatewaySettings::new(upstream, prices);
        settings.network = self.network.access(variable)?;
        settings.egress_allow = self.egress_allow.rules(self.egress_presets_file.as_deref())?;
        settings.outage.answer = Duration::from_millis(self.model_answer_timeout_ms);
        settings.bounds.outside_bytes = self.egress_max_bytes.bytes();
        Ok(settings)
    }

    /// Returns `None` if MODEL_PRICES_URL is not set.
    pub fn price_feed(&self, gateway: &Gateway, metrics: &Metrics) -> Result<Option<PriceFeed>, ConfigError> {
        let Some(url) = &self.model_prices_url else { return Ok(None) };
        let feed =
            PriceFeed::open(url.clone(), &self.data_dir, Arc::new(SystemResolver), gateway.clone(), metrics.clone());
        feed.map(Some).map_err(ConfigError::PriceFeed)
    }

    pub fn budget_limits(&self) -> InstallationLimits {
        InstallationLimits {
            session: self.max_session_cost_usd.map(Dollars::cost),
            day: self.max_day_cost_usd.map(Dollars::cost),
            total: self.max_total_cost_usd.map(Dollars::cost),
        }
    }

    /// The operator's credential: the scripted model's key, a token, a key, or else the login of Claude Code on this host.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        if self.scripted {
            let key = Credential::scripted(DEFAULT_KEY).map_err(|_| ConfigError::Credential("SCRIPTED"))?;
            return Ok(Credentials::new(Some(key), None));
        }
        let token = self.claude_code_oauth_token.as_ref().map(|token| Credential::oauth_token(token.expose_secret()));
        let key = self.anthropic_api_key.as_ref().map(|key| Credential::api_key(key.expose_secret()));
        let operator = match (token, key) {
            (Some(token), _) => Some(token.map_err(|_| ConfigError::Credential("CLAUDE_CODE_OAUTH_TOKEN"))?),
            (None, Some(key)) => Some(key.map_err(|_| ConfigError::Credential("ANTHROPIC_API_KEY"))?),
            (None, None) => None,
        };
        let login = std::env::home_dir().map(|home| home.join(".claude/.credentials.json"));
        Ok(Credentials::new(operator, login))
    }

    /// The forge of repository tasks. `None`: there is no credential for it. An App wins over a token.
    pub fn repositories(&self) -> Result<Option<Repositories>, ConfigError> {
        let credential = match (&self.github_app_id, &self.github_app_private_key_file, &self.github_token) {
            (Some(id), Some(path), _) => {
                let key = AppKey::read(*id, path);
                let key = key.map_err(|source| ConfigError::AppKey { path: path.clone(), source })?;
                GitHubCredential::App(key)
            }
            (Some(_), None, _) | (None, Some(_), _) => return Err(ConfigError::HalfAnApp),
            (None, None, Some(token)) => GitHubCredential::Token(token.clone()),
            (None, None, None) => return Ok(None),
        };
        let (url, api_url) = (self.github_url.clone(), self.github_api_url.clone());
        let github = GitHub::new(GitHubSettings { url, api_url, credential, network: self.network.access(variable)? })
            .map_err(ConfigError::Forge)?;
        let settings = RepositorySettings {
            image: self.repository_image.clone(),
            orchestrator_timeout: Duration::from_millis(self.orchestrator_timeout_ms),
            workflows: if self.allow_workflow_changes { Workflows::Changeable } else { Workflows::Fixed },
            prompts: Prompts { directory: self.prompt_dir.clone() },
        };
        Ok(Some(Repositories::new(github, settings)))
    }

    pub fn audit_retention(&self) -> AuditRetention {
        AuditRetention { max_age: self.audit_retention.max_age, max_bytes: self.audit_retention.max_bytes }
    }

    pub fn store_options(&self, metrics: Metrics) -> StoreOptions {
        StoreOptions {
            secret_key_file: self.secret_key_file.clone(),
            max_age: self.event_retention.max_age,
            max_bytes: self.event_retention.max_bytes,
            max_task_age: self.task_retention.0,
            metrics,
        }
    }

    pub fn webhook_schedule(&self) -> RetrySchedule {
        RetrySchedule { attempts: self.webhook_attempts, first_delay: Duration::from_millis(self.webhook_retry_ms) }
    }

    pub fn session_settings(&self) -> SessionSettings {
        SessionSettings {
            max_queue: self.max_queue as usize,
            idle_timeout: Duration::from_millis(self.idle_timeout_ms),
            stall_timeout: Duration::from_millis(self.stall_timeout_ms),
            agent_dir: self.agent_dir.clone(),
            hand_off: self.drain == DrainMode::Handoff,
            capacity_timeout: Duration::from_millis(self.capacity_timeout_ms),
            orphan_volume_grace: self.orphan_volume_grace.duration(),
            model: self.model.clone(),
        }
    }

    /// Returns `None` if REPOSITORY_CACHE is 0.
    pub fn mirror_settings(&self) -> Option<MirrorSettings> {
        let max_bytes = self.repository_cache.bytes()?;
        Some(MirrorSettings { directory: self.data_dir.join("mirrors"), max_bytes })
    }

    pub fn warm_settings(&self) -> WarmSettings {
        WarmSettings {
            count: self.warm_sandboxes as usize,
            model: self.model.clone(),
            agent_dir: self.agent_dir.clone(),
        }
    }

    pub fn capacity(&self) -> Capacity {
        let memory = match self.sandbox_network {
            // The sandboxes mount sockets of this machine, so they run on it.
            NetworkMode::None => MemoryGauge::ThisMachine { sandbox_bytes: self.sandbox_memory.bytes() },
            NetworkMode::Bridge => MemoryGauge::Unknown,
        };
        Capacity::new(self.max_sandboxes.map_or(FEW_SANDBOXES, |max| max as usize), memory)
    }

    /// The default of MAX_SANDBOXES on an engine with this much memory. Most sandboxes use far less than their limit; a launch
    /// for which memory is short waits.
    pub fn max_sandboxes_on(&self, engine_bytes: u64) -> usize {
        let fit = engine_bytes.saturating_mul(4) / self.sandbox_memory.bytes().max(1);
        usize::try_from(fit).unwrap_or(usize::MAX).max(FEW_SANDBOXES)
    }
}
