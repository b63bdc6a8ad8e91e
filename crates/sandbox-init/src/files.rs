//! Serves requests for the sandbox's files ([`sandbox_link::files`]) as the agent's user.
//!
//! | module | contains |
//! |---|---|
//! | `exchange` | the frames of one connection, blocking |
//! | `place` | opens paths below their root without following links |
//! | `walk`, `meter` | everything below a directory, within the bounds of the request |
//! | `list`, `read`, `pack`, `unpack`, `write`, `remove`, `measure` | one action each |
//! | `failed` | errors of the system as failures of the request |
//!
//! Invariants:
//! - Every path is opened below its root, and no link is followed.
//! - FIFOs, sockets and devices are reported and never opened.
//! - A program of the sandbox can stop no thread here: it may not signal PID 1, and the threads exist before it starts.

mod exchange;
mod failed;
mod list;
mod measure;
mod meter;
mod pack;
mod place;
mod read;
mod remove;
mod unpack;
mod walk;
mod write;

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::signal::SigSet;
use sandbox_link::files::{Action, FileFrame, FileRequest, MAX_STREAMS, Summary, Ticket};

use self::exchange::Exchange;
use self::failed::Failed;
use self::meter::Meter;
use self::place::Root;
use crate::address::Address;

/// The number of tickets that wait for a thread. The coordinator has at most [`MAX_STREAMS`] at a time; more come only
/// after its restart.
const WAITING: usize = 32;

/// The stack of a thread in bytes. Buffers are on the heap, and no walk is recursive.
const STACK_BYTES: usize = 256 * 1024;

/// The threads that serve requests for files. They end when this is dropped.
pub(crate) struct FileThreads {
    tickets: SyncSender<Ticket>,
}

impl FileThreads {
    pub(crate) fn start(address: &Arc<Address>) -> io::Result<Self> {
        let (tickets, receiver) = sync_channel(WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..MAX_STREAMS {
            let (address, receiver) = (Arc::clone(address), Arc::clone(&receiver));
            let work = move || {
                // Signals are for the main thread. Blocking them cannot fail with a valid set.
                let _ = SigSet::all().thread_block();
                while let Some(ticket) = next(&receiver) {
                    serve(&address, ticket);
                }
            };
            thread::Builder::new().name("files".to_owned()).stack_size(STACK_BYTES).spawn(work)?;
        }
        Ok(Self { tickets })
    }

    /// Serves one request. Drops the ticket if too many wait; the coordinator then asks again.
    pub(crate) fn open(&self, ticket: Ticket) {
        let _ = self.tickets.try_send(ticket);
    }
}

fn next(receiver: &Mutex<Receiver<Ticket>>) -> Option<Ticket> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Serves one connection. Errors of the connection itself have nobody to go to: the coordinator sees it end.
fn serve(address: &Address, ticket: Ticket) {
    let Ok(stream) = address.connect_for_files() else { return };
    let Ok((mut exchange, request)) = Exchange::open(stream, ticket) else { return };
    let answer = match handle(&mut exchange, &request, ticket) {
        Ok(summary) => FileFrame::Done(summary),
        Err(failed) => match failed.into_failure() {
            Some(failure) => FileFrame::Failed(failure),
            None => return,
        },
    };
    exchange.finish(&answer);
}

fn handle(exchange: &mut Exchange, request: &FileRequest, ticket: Ticket) -> Result<Summary, Failed> {
    let mut meter = Meter::new(request.bounds);
    let root = Root::open(&request.root)?;
    let path = place::parse(&request.path)?;
    match &request.action {
        Action::List { after, limit } => list::list(exchange, &root, &path, after.as_deref(), *limit, &mut meter)?,
        Action::Read { offset, length } => read::read(exchange, &root, &path, *offset, *length, &mut meter)?,
        Action::Pack => pack::pack(exchange, &root, &path, &mut meter)?,
        Action::Unpack => unpack::unpack(exchange, &root, &path, &mut meter)?,
        Action::Write { mode } => write::write(exchange, &root, &path, *mode, ticket, &mut meter)?,
        Action::Remove => remove::remove(&root, &path, &mut meter)?,
        Action::Measure => measure::measure(&root, &path, &mut meter)?,
    }
    Ok(meter.summary())
}
