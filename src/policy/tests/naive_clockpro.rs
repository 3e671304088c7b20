//! CLOCK-Pro once more, told with a vector of items and the places of the hands in it.

use super::Table;
use std::collections::VecDeque;

/// A page on CLOCK-Pro's circle, in a frame or a ghost.
#[derive(Clone, Copy, PartialEq)]
struct Item {
    id: u64,
    frame: Option<u32>,
    hot: bool,
}

/// The circle and its hands.
#[derive(Default)]
pub struct Clock {
    items: Vec<Item>,
    hot: usize,
    cold: usize,
    test: usize,
    limit: usize,
    took: bool,
    awaited: VecDeque<u64>,
}

impl Clock {
    fn count(&self, what: impl Fn(&Item) -> bool) -> usize {
        self.items.iter().filter(|item| what(item)).count()
    }

    fn hands(&mut self) -> [&mut usize; 3] {
        [&mut self.hot, &mut self.cold, &mut self.test]
    }

    fn next(&self, place: usize) -> usize {
        (place + 1) % self.items.len().max(1)
    }

    /// Takes an item out; a hand on it goes one back.
    fn take_out(&mut self, place: usize) {
        self.items.remove(place);
        let len = self.items.len();
        for hand in self.hands() {
            if *hand == place {
                *hand = (place + len.max(1) - 1) % len.max(1);
            } else if *hand > place {
                *hand -= 1;
            }
        }
    }

    pub fn missed(&mut self, id: u64) {
        if let Some(place) = self.items.iter().position(|item| item.id == id) {
            self.limit = self.limit.saturating_sub(1);
            self.take_out(place);
            self.awaited.push_back(id);
            if self.awaited.len() > 32 {
                self.awaited.pop_front();
            }
        }
    }

    pub fn inserted(&mut self, frame: u32, id: u64, back: bool, capacity: usize, table: &mut Table) {
        self.pass_taken(capacity, table);
        let ghost = self.items.iter().position(|item| item.id == id);
        if let Some(place) = ghost {
            self.take_out(place);
        }
        let known = ghost.is_some() || self.awaited.contains(&id);
        self.awaited.retain(|other| *other != id);
        let item = Item { id, frame: Some(frame), hot: known && !back };
        if self.items.is_empty() {
            self.items.push(item);
            (self.hot, self.cold, self.test) = (0, 0, 0);
            return;
        }
        let place = self.hot;
        let cold_with_hot = self.cold == self.hot;
        self.items.insert(place, item);
        self.hands().into_iter().filter(|hand| **hand >= place).for_each(|hand| *hand += 1);
        if cold_with_hot {
            self.cold = place;
        }
    }

    pub fn removed(&mut self, frame: u32, id: u64, evicted: bool) {
        let place = self.items.iter().position(|item| item.frame == Some(frame)).unwrap();
        if evicted && !self.items[place].hot {
            self.items[place] = Item { id, frame: None, hot: false };
            self.took |= place == self.cold;
        } else {
            self.take_out(place);
        }
    }

    fn pass_taken(&mut self, capacity: usize, table: &mut Table) {
        if !std::mem::take(&mut self.took) {
            return;
        }
        while self.count(|item| item.frame.is_none()) > capacity {
            self.end_test(capacity);
        }
        self.cold = self.next(self.cold);
        self.cool(capacity, table);
    }

    fn end_test(&mut self, capacity: usize) {
        if self.items[self.test].frame.is_none() {
            self.take_out(self.test);
            self.limit = (self.limit + 1).min(capacity - 1);
        }
        self.test = self.next(self.test);
    }

    fn cool(&mut self, capacity: usize, table: &mut Table) {
        while self.count(|item| item.hot) > self.limit {
            if self.hot == self.test {
                self.end_test(capacity);
            }
            let item = self.items[self.hot];
            if item.hot && !table.take(item.frame.unwrap()) {
                self.items[self.hot].hot = false;
            }
            self.hot = self.next(self.hot);
        }
    }

    pub fn victim(&mut self, capacity: usize, table: &mut Table) -> Option<u32> {
        for _ in 0..3 * self.items.len() {
            self.pass_taken(capacity, table);
            let item = self.items[self.cold];
            if let Some(frame) = item.frame.filter(|frame| !item.hot && !table.page(*frame).pinned) {
                if !table.take(frame) {
                    return Some(frame);
                }
                self.items[self.cold].hot = true;
            }
            self.cold = self.next(self.cold);
            self.cool(capacity, table);
        }
        for _ in 0..self.items.len() {
            if let Some(frame) = self.items[self.cold].frame.filter(|frame| !table.page(*frame).pinned) {
                return Some(frame);
            }
            self.cold = self.next(self.cold);
        }
        None
    }
}
