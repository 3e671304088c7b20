//! Whose turn it is: one application runs, until it yields or ends; the others wait in a queue.
//!
//! Invariants: nobody is in the queue twice, and who runs is not in it.

use std::collections::VecDeque;

/// The processor of the applications. `T` names an application.
pub struct Turns<T> {
    running: Option<T>,
    waiting: VecDeque<T>,
}

impl<T: Copy + PartialEq> Turns<T> {
    pub fn new() -> Self {
        Turns { running: None, waiting: VecDeque::new() }
    }

    /// Who runs.
    pub fn running(&self) -> Option<T> {
        self.running
    }

    /// Whether anybody waits for a turn.
    pub fn is_wanted(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A new application, behind all others.
    pub fn enter(&mut self, application: T) {
        self.waiting.push_back(application);
    }

    /// Who runs goes behind all others.
    pub fn give_up(&mut self) {
        self.waiting.extend(self.running.take());
    }

    /// The application has ended.
    pub fn leave(&mut self, application: T) {
        self.waiting.retain(|other| *other != application);
        self.running = self.running.filter(|running| *running != application);
    }

    /// If nobody runs, the first in the queue does from now on: who that is.
    pub fn next(&mut self) -> Option<T> {
        if self.running.is_some() {
            return None;
        }
        self.running = self.waiting.pop_front();
        self.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_round() {
        let mut turns = Turns::new();
        assert_eq!((turns.next(), turns.running()), (None, None));
        for application in ['a', 'b', 'c'] {
            turns.enter(application);
        }
        let mut order = String::new();
        for _ in 0..7 {
            order.push(turns.next().expect("somebody waits"));
            assert_eq!(turns.next(), None, "only one runs");
            turns.give_up();
        }
        assert_eq!(order, "abcabca");
    }

    #[test]
    fn who_ends_is_forgotten() {
        let mut turns = Turns::new();
        for application in ['a', 'b', 'c'] {
            turns.enter(application);
        }
        assert_eq!(turns.next(), Some('a'));
        turns.leave('b');
        turns.leave('a');
        assert_eq!(turns.running(), None);
        assert_eq!(turns.next(), Some('c'));
        assert!(!turns.is_wanted());
        // Alone: it runs on at once.
        turns.give_up();
        assert_eq!(turns.next(), Some('c'));
        turns.leave('c');
        assert_eq!(turns.next(), None);
    }
}
