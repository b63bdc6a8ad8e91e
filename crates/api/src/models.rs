//! Models and their prices.

use api_types::model::{LongPrompt, Model, ModelPrice, PriceSource, RefreshedPrices};
use api_types::time::Time;
use axum::extract::State;
use axum::{Extension, Json};
use domain::model::is_alias;
use gateway::{Gateway, KnownModel, ListedPrice};

use super::{Api, ApiError};
use crate::access::Caller;

/// `GET /models`: the models with a price, MODEL, and those without a price that were used. A key with a list of models sees those.
pub(super) async fn list(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<Vec<Model>> {
    let prices = api.gateway.prices();
    let mut models = prices.list();
    let default = &api.defaults.model;
    let is_listed = models.iter().any(|model| model.name == *default);
    if !is_listed && !is_alias(default) && !prices.has_price(default) {
        models.push(prices.assumed(default));
        models.sort_by(|a, b| a.name.cmp(&b.name));
    }
    if let Some(allowed) = &caller.limits.models {
        models.retain(|model| Gateway::is_listed(&model.name, allowed));
    }
    Json(models.into_iter().map(view).collect())
}

/// `POST /models/refresh`: fetches the table of MODEL_PRICES_URL now.
pub(super) async fn refresh(State(api): State<Api>) -> Result<Json<RefreshedPrices>, ApiError> {
    let Some(feed) = &api.price_feed else { return Err(ApiError::no_prices_url()) };
    let refreshed = feed.refresh().await.map_err(|error| ApiError::prices_unavailable(&error))?;
    Ok(Json(RefreshedPrices {
        at: refreshed.at.into(),
        models: refreshed.changes.models as u64,
        changed: refreshed.changes.changed,
        lower: refreshed.changes.lower,
    }))
}

fn view(model: KnownModel) -> Model {
    let source = match model.source {
        gateway::PriceSource::BuiltIn => PriceSource::BuiltIn,
        gateway::PriceSource::Url => PriceSource::Url,
        gateway::PriceSource::File => PriceSource::File,
        gateway::PriceSource::Assumed => PriceSource::Assumed,
    };
    Model {
        name: model.name,
        price: price(&model.price),
        long_prompt: model.long_prompt.map(|(above_tokens, rates)| LongPrompt { above_tokens, price: price(&rates) }),
        context: model.context,
        known_since: model.since.map(Time),
        source,
        price_assumed: source == PriceSource::Assumed,
    }
}

fn price(price: &ListedPrice) -> ModelPrice {
    let ListedPrice { input, output, cache_write_5m, cache_write_1h, cache_read } = *price;
    ModelPrice { input, output, cache_write_5m, cache_write_1h, cache_read }
}
