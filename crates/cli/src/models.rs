//! `claude-runner models`: lists the models with their prices, and fetches the prices of MODEL_PRICES_URL.

use std::io::{self, Write as _};
use std::process::ExitCode;

use api_types::model::{Model, RefreshedPrices};
use api_types::word;
use clap::{Args, Subcommand};

use super::exit::Exit;
use super::lists;
use super::remote::{Answered, Remote, RemoteOptions};
use super::table::{Column, Table};
use super::terminal;

const EXAMPLES: &str = "\
Examples:
  claude-runner models
  claude-runner models --json | jq 'select(.priceAssumed) | .name'
  claude-runner models refresh";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ModelsOptions {
    #[command(subcommand)]
    command: Option<ModelsCommand>,

    /// Print the server's answers, one JSON object per line
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

#[derive(Subcommand, Debug)]
enum ModelsCommand {
    /// List the models with their prices in US dollars per million tokens; the same as without a command
    List,
    /// Fetch the prices of the server's MODEL_PRICES_URL now; needs a key with the scope admin
    Refresh,
}

pub(super) async fn run(options: ModelsOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    match options.command {
        None | Some(ModelsCommand::List) => list(&remote, options.json).await?,
        Some(ModelsCommand::Refresh) => refresh(&remote, options.json).await?,
    }
    Ok(Exit::Done.into())
}

async fn list(remote: &Remote, json: bool) -> anyhow::Result<()> {
    let models: Vec<Answered<Model>> = remote.get(&["models"]).await?;
    if json {
        lists::print_lines(&models)?;
        return Ok(());
    }
    let models: Vec<Model> = models.into_iter().map(|model| model.value).collect();
    if models.is_empty() {
        writeln!(io::stderr(), "this key may use no model that has a price")?;
        return Ok(());
    }
    lists::print_table(&table(&models))?;
    Ok(())
}

async fn refresh(remote: &Remote, json: bool) -> anyhow::Result<()> {
    let answer: Answered<RefreshedPrices> = remote.post(&["models", "refresh"]).await?;
    if json {
        lists::print_lines(std::slice::from_ref(&answer))?;
        return Ok(());
    }
    let RefreshedPrices { models, changed, lower, .. } = answer.value;
    let mut out = io::stdout();
    let noun = if models == 1 { "model" } else { "models" };
    writeln!(out, "the table has {models} {noun}; {} new or changed", changed.len())?;
    for model in changed {
        writeln!(out, "  {}", terminal::on_one_line(&model))?;
    }
    if !lower.is_empty() {
        writeln!(out, "lower than the built-in price, which stays:")?;
        for model in lower {
            writeln!(out, "  {}", terminal::on_one_line(&model))?;
        }
    }
    Ok(())
}

fn table(models: &[Model]) -> Table {
    let mut table = Table::new([
        ("MODEL", Column::Text),
        ("INPUT", Column::Number),
        ("OUTPUT", Column::Number),
        ("CACHE WRITE", Column::Number),
        ("CACHE READ", Column::Number),
        ("CONTEXT", Column::Number),
        ("KNOWN SINCE", Column::Whole),
        ("SOURCE", Column::Whole),
    ])
    .sparing(&["KNOWN SINCE", "CACHE WRITE", "CACHE READ", "CONTEXT"]);
    for model in models {
        // A day is precise enough.
        let since = model.known_since.map(|since| since.to_string().chars().take(10).collect()).unwrap_or_default();
        table.row([
            model.name.clone(),
            money(model.price.input),
            money(model.price.output),
            money(model.price.cache_write_5m),
            money(model.price.cache_read),
            model.context.map(|tokens| tokens.to_string()).unwrap_or_default(),
            since,
            word(&model.source),
        ]);
    }
    table
}

/// `$3.00`, with more digits where the price has them.
fn money(dollars: f64) -> String {
    let text = format!("{dollars:.4}");
    let zeros = text.len() - text.trim_end_matches('0').len();
    format!("${}", &text[..text.len() - zeros.min(2)])
}

#[cfg(test)]
mod tests {
    use super::money;

    #[test]
    fn a_price_has_at_least_cents() {
        assert_eq!([3.0, 0.25, 0.375, 0.0125, 0.0].map(money), ["$3.00", "$0.25", "$0.375", "$0.0125", "$0.00"]);
    }
}
