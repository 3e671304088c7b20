//! A descriptor of ours: a number that the program may want for itself (dup2), so it can change while
//! other threads use it.
//!
//! Threads that use the number count themselves in one of two counts, that of the current turn. The mover stores the
//! new number, then changes the turn, then waits until the count of the turn before is zero: threads that came after
//! use the new number.
#![forbid(unsafe_code)]

use crate::sync::Lock;
use crate::sys::{file, thread, Errno, Result};
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// Naps before a move ends without success: somebody is in our code, interrupted by the mover itself.
const PATIENCE: u32 = 1000;

/// A descriptor, or none.
pub struct Descriptor {
    number: AtomicI32,
    turn: AtomicU32,
    users: [AtomicU32; 2],
    moving: Lock<()>,
}

impl Descriptor {
    /// The descriptor `number`; -1 for none.
    pub const fn new(number: i32) -> Descriptor {
        Descriptor {
            number: AtomicI32::new(number),
            turn: AtomicU32::new(0),
            users: [const { AtomicU32::new(0) }; 2],
            moving: Lock::new(()),
        }
    }

    /// Its number at this moment, if there is one. To be compared, not to be used.
    pub fn number(&self) -> Option<i32> {
        // Acquire: pairs with the release in `replace`.
        Some(self.number.load(Ordering::Acquire)).filter(|number| *number >= 0)
    }

    /// Becomes another one, or none (-1); the number before. Nobody may be using it.
    pub fn replace(&self, number: i32) -> Option<i32> {
        Some(self.number.swap(number, Ordering::AcqRel)).filter(|number| *number >= 0)
    }

    /// Does `work` with the number, which stays ours meanwhile; EBADF if there is none.
    pub fn lend<T>(&self, work: impl FnOnce(i32) -> Result<T>) -> Result<T> {
        // SeqCst throughout: who still sees the old turn is counted before the mover looks at the count.
        let users = loop {
            let turn = self.turn.load(Ordering::SeqCst);
            let [even, odd] = &self.users;
            let users = if turn.is_multiple_of(2) { even } else { odd };
            users.fetch_add(1, Ordering::SeqCst);
            if self.turn.load(Ordering::SeqCst) == turn {
                break users;
            }
            users.fetch_sub(1, Ordering::SeqCst);
        };
        let number = self.number.load(Ordering::SeqCst);
        let result = if number < 0 { Err(Errno(libc::EBADF)) } else { work(number) };
        users.fetch_sub(1, Ordering::SeqCst);
        result
    }

    /// Moves to another number if it has the number `number`, which the program wants; true if it had. The old number stays
    /// open until the program replaces it.
    pub fn make_way(&self, number: i32) -> Result<bool> {
        let _one = self.moving.hold();
        if self.number() != Some(number) {
            return Ok(false);
        }
        let moved = file::duplicate(number)?;
        self.number.store(moved, Ordering::SeqCst);
        let turn = self.turn.fetch_add(1, Ordering::SeqCst);
        let [even, odd] = &self.users;
        let users = if turn.is_multiple_of(2) { even } else { odd };
        for _ in 0..PATIENCE {
            if users.load(Ordering::SeqCst) == 0 {
                return Ok(true);
            }
            thread::nap();
        }
        Err(Errno(libc::EBUSY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn it_moves_while_others_use_it() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, &[7; 1000]).unwrap();
        drop(writer);
        let mine = Descriptor::new(file::duplicate(reader.as_raw_fd()).unwrap());
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let mut byte = [0];
                        mine.lend(|fd| file::read(fd, &mut byte)).unwrap();
                    }
                });
            }
            for _ in 0..50 {
                let number = mine.number().unwrap();
                assert_eq!(mine.make_way(number), Ok(true));
                // A stranger's file under the old number, which none of the readers may meet.
                file::close(number);
                assert_eq!(mine.make_way(number), Ok(false));
            }
            stop.store(true, Ordering::Relaxed);
        });
        file::close(mine.replace(-1).unwrap());
        assert_eq!(mine.lend(|_| Ok(())), Err(Errno(libc::EBADF)));
    }
}
