//! The policies once more, told with plain queues of frames and pages, as slow as they are plain.

use super::naive_clockpro::Clock;
use super::{Arrival, Departure, Table};
use std::collections::VecDeque;

/// A policy that keeps its pages in queues; what is said of a front is said of the oldest.
pub struct Naive {
    name: &'static str,
    capacity: usize,
    /// Queues of frames, two at most.
    queues: [VecDeque<u32>; 2],
    /// Queues of pages that have left, two at most.
    ghosts: [VecDeque<u64>; 2],
    marked: Vec<u32>,
    random: u64,
    newcomer: Option<u32>,
    target: f64,
    clock: Clock,
}

impl Naive {
    pub fn new(name: &'static str, capacity: u32) -> Naive {
        Naive {
            name,
            capacity: capacity as usize,
            queues: Default::default(),
            ghosts: Default::default(),
            marked: Vec::new(),
            random: 1,
            newcomer: None,
            target: 0.0,
            clock: Clock::default(),
        }
    }

    fn arms_newcomers(&self) -> bool {
        ["s3fifo-1e", "car", "clockpro"].contains(&self.name)
    }

    pub fn missed(&mut self, id: u64, table: &mut Table) {
        if let Some(frame) = self.newcomer.take() {
            table.take(frame);
        }
        if self.name == "clockpro" {
            self.clock.missed(id);
        }
    }

    pub fn inserted(&mut self, frame: u32, id: u64, arrival: Arrival, table: &mut Table) {
        let back = arrival == Arrival::Back;
        let ghosts = [0, 1].map(|number| self.ghosts[number].iter().any(|ghost| *ghost == id));
        match self.name {
            "segfifo" | "lru" => {
                self.queues[0].push_back(frame);
                self.sink(table);
            }
            "s3fifo" | "s3fifo-1e" => {
                let to_main = if back { !ghosts[0] } else { ghosts[0] };
                self.queues[usize::from(to_main)].push_back(frame);
                self.ghosts[0].retain(|ghost| *ghost != id);
                while self.ghosts[0].len() > self.capacity * 9 / 10 {
                    self.ghosts[0].pop_front();
                }
            }
            "car" => {
                if !back {
                    self.adapt(ghosts);
                }
                self.ghosts.iter_mut().for_each(|queue| queue.retain(|ghost| *ghost != id));
                let again = if back { ghosts[1] } else { ghosts[0] || ghosts[1] };
                self.queues[usize::from(again)].push_back(frame);
            }
            "clockpro" => self.clock.inserted(frame, id, back, self.capacity, table),
            _ => self.queues[0].push_back(frame),
        }
        if self.arms_newcomers() && arrival == Arrival::Fault {
            self.newcomer = Some(frame);
        }
    }

    pub fn removed(&mut self, frame: u32, id: u64, departure: Departure) {
        if self.newcomer == Some(frame) {
            self.newcomer = None;
        }
        let number = usize::from(self.queues[1].contains(&frame));
        self.queues.iter_mut().for_each(|queue| queue.retain(|other| *other != frame));
        self.marked.retain(|other| *other != frame);
        if self.name == "clockpro" {
            self.clock.removed(frame, id, departure == Departure::Evicted);
        } else if departure == Departure::Evicted {
            match self.name {
                "s3fifo" | "s3fifo-1e" if number == 0 => self.remember(0, id, self.capacity * 9 / 10 + 1),
                "car" => self.remember(number, id, self.capacity + 1),
                _ => {}
            }
        }
    }

    fn remember(&mut self, number: usize, id: u64, room: usize) {
        if self.ghosts[0].len() + self.ghosts[1].len() == room {
            let longer = usize::from(self.ghosts[0].len() <= self.ghosts[1].len());
            self.ghosts[if self.name == "car" { longer } else { 0 }].pop_front();
        }
        self.ghosts[number].push_back(id);
    }

    pub fn referenced(&mut self, frame: u32, table: &mut Table) {
        if matches!(self.name, "segfifo" | "lru") && self.queues[1].contains(&frame) {
            self.queues[1].retain(|other| *other != frame);
            self.queues[0].push_back(frame);
            self.sink(table);
        }
    }

    fn sink(&mut self, table: &mut Table) {
        let watched = self.capacity * if self.name == "lru" { 75 } else { 25 } / 100;
        while self.queues[0].len() > self.capacity - watched {
            let frame = self.queues[0].pop_front().unwrap();
            self.queues[1].push_back(frame);
            table.take(frame);
        }
    }

    /// CAR's p follows the ghosts that come back; if none did, old ones are forgotten.
    fn adapt(&mut self, ghosts: [bool; 2]) {
        let [b1, b2] = [0, 1].map(|number| self.ghosts[number].len());
        match ghosts {
            [true, _] => self.target = (self.target + (b2 as f64 / b1 as f64).max(1.0)).min(self.capacity as f64),
            [_, true] => self.target = (self.target - (b1 as f64 / b2 as f64).max(1.0)).max(0.0),
            _ => {
                while !self.ghosts[0].is_empty() && self.queues[0].len() + self.ghosts[0].len() >= self.capacity {
                    self.ghosts[0].pop_front();
                }
                let all = |naive: &Naive| {
                    naive.queues.iter().map(VecDeque::len).sum::<usize>() + naive.ghosts.iter().map(VecDeque::len).sum::<usize>()
                };
                while !self.ghosts[1].is_empty() && all(self) >= 2 * self.capacity {
                    self.ghosts[1].pop_front();
                }
            }
        }
    }

    pub fn victim(&mut self, table: &mut Table) -> Option<u32> {
        match self.name {
            "random" => {
                for _ in 0..32 {
                    let drawn = (splitmix64(&mut self.random) % self.capacity as u64) as u32;
                    if table.0.iter().any(|page| page.frame == drawn && !page.pinned) {
                        return Some(drawn);
                    }
                }
                self.front(0, table)
            }
            "segfifo" | "lru" => self.segmented(table),
            "s3fifo" | "s3fifo-1e" => self.small_or_main(table),
            "car" => self.two_clocks(table),
            "clockpro" => self.clock.victim(self.capacity, table),
            _ => self.one_clock(table),
        }
    }

    /// The first frame that may leave; others go behind.
    fn front(&mut self, number: usize, table: &Table) -> Option<u32> {
        for _ in 0..self.queues[number].len() {
            let frame = *self.queues[number].front()?;
            if !table.page(frame).pinned {
                return Some(frame);
            }
            self.queues[number].rotate_left(1);
        }
        None
    }

    /// fifo, clock and third chance.
    fn one_clock(&mut self, table: &mut Table) -> Option<u32> {
        let (uses_r, uses_m) = (self.name != "fifo", self.name == "third-chance");
        if table.0.iter().all(|page| page.pinned) {
            return None;
        }
        loop {
            let frame = *self.queues[0].front()?;
            let page = table.page(frame).clone();
            if !page.pinned {
                if uses_r && table.take(frame) {
                    self.marked.retain(|other| *other != frame);
                } else if uses_m && page.dirty && !self.marked.contains(&frame) {
                    self.marked.push(frame);
                } else {
                    return Some(frame);
                }
            }
            self.queues[0].rotate_left(1);
        }
    }

    fn segmented(&mut self, table: &mut Table) -> Option<u32> {
        for _ in 0..self.queues[1].len() {
            let frame = *self.queues[1].front()?;
            if table.page(frame).pinned {
                self.queues[1].rotate_left(1);
            } else if table.take(frame) {
                self.queues[1].pop_front();
                self.queues[0].push_back(frame);
                self.sink(table);
            } else {
                return Some(frame);
            }
        }
        self.front(0, table).or_else(|| self.front(1, table))
    }

    fn small_or_main(&mut self, table: &mut Table) -> Option<u32> {
        let [small, main] = [0, 1].map(|number| self.queues[number].len());
        if small >= ((small + main) / 10).max(1) {
            for _ in 0..small {
                let frame = *self.queues[0].front()?;
                if table.page(frame).pinned {
                    self.queues[0].rotate_left(1);
                } else if self.name == "s3fifo-1e" && table.take(frame) {
                    self.queues[0].pop_front();
                    self.queues[1].push_back(frame);
                } else {
                    return Some(frame);
                }
            }
        }
        for _ in 0..2 * self.queues[1].len() {
            let frame = *self.queues[1].front()?;
            if !table.page(frame).pinned && !table.take(frame) {
                return Some(frame);
            }
            self.queues[1].rotate_left(1);
        }
        self.front(0, table).or_else(|| self.front(1, table))
    }

    fn two_clocks(&mut self, table: &mut Table) -> Option<u32> {
        for _ in 0..3 * (self.queues[0].len() + self.queues[1].len()) {
            let once = self.queues[0].len() as f64 >= self.target.max(1.0) || self.queues[1].is_empty();
            let number = usize::from(!once);
            let frame = *self.queues[number].front()?;
            if table.page(frame).pinned {
                self.queues[number].rotate_left(1);
            } else if table.take(frame) {
                self.queues[number].pop_front();
                self.queues[1].push_back(frame);
            } else {
                return Some(frame);
            }
        }
        self.front(0, table).or_else(|| self.front(1, table))
    }
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E3779B97F4A7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D049BB133111EB);
    z ^ (z >> 31)
}
