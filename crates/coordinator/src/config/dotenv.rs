//! The file `.env`.

use domain::error_chain;

/// Reads `.env` in the working directory or above it, if it exists. Variables that are already set win over it. Returns the names of its
/// variables.
pub fn load_env_file() -> Result<Vec<String>, EnvFileError> {
    let path = match dotenvy::dotenv() {
        Ok(path) => path,
        Err(error) if error.not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let lines = dotenvy::from_path_iter(path)?;
    lines.map(|line| Ok(line?.0)).collect()
}

/// The reason why `.env` cannot be read. It shows no value, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    #[error(
        ".env: the line that begins with {0:?} cannot be read: a line is NAME=VALUE, and a value with spaces or # is in quotes"
    )]
    Line(String),
    #[error("could not read .env: {0}")]
    Read(String),
}

impl From<dotenvy::Error> for EnvFileError {
    fn from(error: dotenvy::Error) -> Self {
        match error {
            dotenvy::Error::LineParse(line, _) => {
                EnvFileError::Line(line.split(['=', ' ']).next().unwrap_or_default().chars().take(64).collect())
            }
            other => EnvFileError::Read(error_chain(&other)),
        }
    }
}
