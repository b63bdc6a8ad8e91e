//! Counts the model's requests by message. The model itself remembers only its latest requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mock_api::scripted_model::ModelHandle;

#[derive(Default)]
pub(crate) struct Tally(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    last: u64,
    by_prompt: BTreeMap<String, usize>,
}

impl Tally {
    /// Collects the requests since the last call. The caller calls it before the model forgets any.
    pub(crate) fn collect(&self, model: &ModelHandle) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for request in model.requests() {
            if request.number <= counted.last {
                continue;
            }
            assert!(request.number == counted.last + 1, "model requests were forgotten before they were counted");
            counted.last = request.number;
            // The CLI's requests outside the conversation, such as for a title, have no tools.
            if request.tools > 0 {
                *counted.by_prompt.entry(request.prompt).or_default() += 1;
            }
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_prompt.clone()
    }
}
