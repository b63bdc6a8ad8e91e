//! The payer of an agent's model requests.

use domain::budget::Payer;
use domain::task::TaskRecord;
use domain::usage::Cost;

pub(crate) fn of_task(record: &TaskRecord) -> Payer {
    Payer {
        task: Some(record.id.clone()),
        session: Some(record.session_id.clone()),
        key: record.request.key.clone(),
        max_cost: record.request.max_cost_usd.map(Cost::from_dollars),
        key_limits: record.request.key_limits.clone(),
    }
}
