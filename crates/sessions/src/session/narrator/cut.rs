//! Messages that were cut off while they were streamed: the events that become void because the model is asked again.

use domain::event::Event;

use super::Narrator;

impl Narrator {
    /// Remembers the first event of a message that may become void.
    pub(super) fn notice_first(&mut self, seq: u64, events: &[Event]) {
        let voidable =
            |event: &Event| matches!(event, Event::Text { .. } | Event::Thinking { .. } | Event::ThinkingStart(_));
        if self.message_since.is_none()
            && let Some(offset) = events.iter().position(voidable)
        {
            self.message_since = Some(seq + offset as u64);
        }
    }

    /// Detects that another message begins while one is being streamed: the connection was cut and the CLI repeated the request,
    /// streaming or not. An `api_retry` line reports this only if the CLI itself repeated the request.
    pub(super) fn notice_cut(&mut self, message_id: &str, events: &mut Vec<Event>) {
        if self.message.take_if(|streamed| streamed != message_id).is_some() {
            self.void_message(events);
        }
    }

    /// Forgets the message that was being streamed: its events stay valid.
    pub(super) fn close_message(&mut self) {
        (self.message, self.message_since, self.abandoned) = (None, None, false);
        self.blocks_since.clear();
    }

    /// The streamed message was cut short. Its blocks before `index` are complete. The rest becomes void with the next line that
    /// shows that the turn continues: the end of an interrupted turn voids nothing.
    pub(super) fn abandon(&mut self, index: u32) {
        (self.text_streamed, self.thinking_streamed, self.abandoned) = (false, false, true);
        let begins = self.blocks_since.iter().filter(|(block, _)| *block >= index).map(|(_, since)| *since).min();
        self.message_since = self.message_since.and_then(|since| Some(since.max(begins?)));
    }

    /// Publishes that the streamed message is void, as far as [`Narrator::abandon`] left it.
    pub(super) fn void_message(&mut self, events: &mut Vec<Event>) {
        (self.text_streamed, self.thinking_streamed) = (false, false);
        let since = self.message_since;
        self.close_message();
        if let Some(since) = since {
            events.push(Event::Retry {
                attempt: 1,
                max_retries: 1,
                delay_ms: 0,
                status: None,
                reason: "connection_cut".to_owned(),
                discards_from: Some(since),
            });
        }
    }
}
