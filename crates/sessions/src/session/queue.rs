//! The queue of a session: first in, first out, bounded.

use std::collections::VecDeque;

/// A bounded FIFO.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: VecDeque<T>,
    bound: usize,
}

/// The queue is full.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<T> Queue<T> {
    pub(crate) fn new(bound: usize) -> Self {
        Queue { waiting: VecDeque::new(), bound }
    }

    /// Fails if the queue is full. Call it before a task is written.
    pub(crate) fn check_room(&self) -> Result<(), Full> {
        if self.waiting.len() < self.bound { Ok(()) } else { Err(Full) }
    }

    /// Adds a task at the end. Restored tasks may exceed the bound: they were accepted before.
    pub(crate) fn push(&mut self, task: T) {
        self.waiting.push_back(task);
    }

    /// Adds a task at the front.
    pub(crate) fn push_front(&mut self, task: T) {
        self.waiting.push_front(task);
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.waiting.pop_front()
    }

    /// Removes the first task that fits.
    pub(crate) fn remove(&mut self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let index = self.waiting.iter().position(fits)?;
        self.waiting.remove(index)
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.waiting.front()
    }

    pub(crate) fn first_mut(&mut self) -> Option<&mut T> {
        self.waiting.front_mut()
    }

    pub(crate) fn any(&self, fits: impl Fn(&T) -> bool) -> bool {
        self.waiting.iter().any(fits)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, Queue};

    #[test]
    fn first_in_first_out_up_to_the_bound() {
        let mut queue = Queue::new(3);
        for task in [1, 2, 3] {
            assert_eq!(queue.check_room(), Ok(()));
            queue.push(task);
        }
        assert_eq!(queue.check_room(), Err(Full));
        assert_eq!(queue.remove(|task| *task == 2), Some(2));
        assert_eq!(queue.remove(|task| *task == 2), None);
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(1), Some(3), None));
        assert!(queue.is_empty());
    }
}
