//! The decisions over a machine that can fail. That they follow the rules transfer by transfer is checked from C++
//! (`test-programs/external/decisions.cpp`), with an MMU and a model of its own.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may.

use std::collections::HashMap;
use std::sync::Mutex;

use external_pager::decisions::{Decisions, Fault, NoPage, NoStart};
use external_pager::machine::{Failed, Machine};
use external_pager::protocol::{Entry, ARENA_BASE, ARENA_SIZE, MOST_FRAMES, PAGE_SIZE};

/// Frames and blocks that hold one number each.
#[derive(Default)]
struct Toy {
    frames: Mutex<HashMap<u32, u32>>,
    blocks: Mutex<HashMap<u32, u32>>,
    broken: Mutex<Vec<u32>>,
    refused: Mutex<u32>,
    entries: Mutex<HashMap<(i32, u32), Entry>>,
}

impl Toy {
    fn is_broken(&self, block: u32) -> bool {
        self.broken.lock().unwrap().contains(&block)
    }
}

impl Machine for Toy {
    fn clear(&self, frame: u32) {
        self.frames.lock().unwrap().insert(frame, 0);
    }

    fn read(&self, block: u32, frame: u32) -> Result<(), Failed> {
        if self.is_broken(block) {
            return Err(Failed);
        }
        let word = self.blocks.lock().unwrap()[&block];
        self.frames.lock().unwrap().insert(frame, word);
        Ok(())
    }

    fn write(&self, block: u32, frame: u32) -> Result<(), Failed> {
        if self.is_broken(block) {
            *self.refused.lock().unwrap() += 1;
            return Err(Failed);
        }
        let word = self.frames.lock().unwrap()[&frame];
        self.blocks.lock().unwrap().insert(block, word);
        Ok(())
    }

    fn set_entry(&self, process: i32, page: u32, entry: Entry) {
        self.entries.lock().unwrap().insert((process, page), entry);
    }
}

fn pager(pages: u32, blocks: u32) -> (Decisions, &'static Toy) {
    let toy: &'static Toy = Box::leak(Box::default());
    (Decisions::new(pages, blocks, toy).unwrap(), toy)
}

fn address(page: usize) -> usize {
    ARENA_BASE + page * PAGE_SIZE
}

/// Stores a number in a page of the current process, as the MMU would.
fn store(pager: &mut Decisions, toy: &Toy, page: usize, word: u32) -> Result<(), Fault> {
    if !pager.entry(address(page)).write_enable {
        pager.fault(address(page), true)?;
    }
    toy.frames.lock().unwrap().insert(pager.entry(address(page)).frame, word);
    Ok(())
}

fn load(pager: &mut Decisions, toy: &Toy, page: usize) -> Result<u32, Fault> {
    if !pager.entry(address(page)).read_enable {
        pager.fault(address(page), false)?;
    }
    Ok(toy.frames.lock().unwrap()[&pager.entry(address(page)).frame])
}

#[test]
fn impossible_numbers_are_refused() {
    let toy: &'static Toy = Box::leak(Box::default());
    assert_eq!(Decisions::new(0, 1, toy).err(), Some(NoStart::Pages(0)));
    assert_eq!(Decisions::new(MOST_FRAMES + 1, 1, toy).err(), Some(NoStart::Pages(MOST_FRAMES + 1)));
    let (mut pager, _) = pager(1, 0);
    assert!(pager.create(7) && !pager.create(7), "one process of a number");
    assert!(!pager.switch(8) && pager.switch(7));
    assert_eq!(pager.extend(), Err(NoPage::DiskFull));
}

#[test]
fn without_a_current_process_nothing_is_valid() {
    let (mut pager, _) = pager(2, 2);
    assert_eq!(pager.fault(ARENA_BASE, false), Err(Fault::Invalid));
    assert_eq!(pager.syslog(ARENA_BASE, 1, |_, _, _| panic!("nothing to hand over")), Err(Fault::Invalid));
    assert!(pager.extend().is_err());
    pager.destroy();
    assert_eq!(pager.current(), None);
}

#[test]
fn a_message_is_handed_over_piece_by_piece() {
    let (mut pager, _) = pager(2, 8);
    assert!(pager.create(1) && pager.switch(1));
    for _ in 0..4 {
        pager.extend().unwrap();
    }
    let mut pieces = Vec::new();
    let mut take = |_, offset, len| pieces.push((offset, len));
    assert_eq!(pager.syslog(address(1) - 3, 2 * PAGE_SIZE as u32 + 4, &mut take), Ok(()));
    assert_eq!(pieces, [(PAGE_SIZE - 3, 3), (0, PAGE_SIZE), (0, PAGE_SIZE), (0, 1)]);
    for (at, len) in [(address(0), 0), (address(0), 4 * PAGE_SIZE + 1), (address(3), PAGE_SIZE + 1), (ARENA_BASE - 1, 2)] {
        let refused = pager.syslog(at, len as u32, |_, _, _| panic!("part of a message that is refused"));
        assert_eq!(refused, Err(Fault::Invalid), "{len} bytes at {at:#x}");
    }
    for at in [usize::MAX, usize::MAX - 1, ARENA_BASE + ARENA_SIZE - 1] {
        assert_eq!(pager.syslog(at, 2, |_, _, _| panic!("wrapped around")), Err(Fault::Invalid));
    }
}

#[test]
fn a_page_whose_block_cannot_be_written_stays() {
    let (mut pager, toy) = pager(2, 8);
    assert!(pager.create(1) && pager.switch(1));
    for page in 0..4 {
        pager.extend().unwrap();
        if page < 2 {
            store(&mut pager, toy, page, 100 + page as u32).unwrap();
        }
    }
    // The clock would have page 0 leave first.
    toy.broken.lock().unwrap().push(0);
    for page in 2..4 {
        store(&mut pager, toy, page, 100 + page as u32).unwrap();
    }
    for page in 0..4 {
        assert_eq!(load(&mut pager, toy, page), Ok(100 + page as u32), "page {page}");
    }
}

/// The pager serves others too: it may not try again and again for seconds.
#[test]
fn a_disk_that_cannot_be_written_is_found_out_soon() {
    let (mut pager, toy) = pager(4, 8);
    assert!(pager.create(1) && pager.switch(1));
    toy.broken.lock().unwrap().extend(0..8);
    for page in 0..5 {
        pager.extend().unwrap();
        let lost = if page < 4 { Ok(()) } else { Err(Fault::Lost) };
        assert_eq!(store(&mut pager, toy, page, 100 + page as u32), lost, "page {page}");
    }
    assert!(*toy.refused.lock().unwrap() <= 8, "{} attempts for 4 pages", toy.refused.lock().unwrap());
    for page in 0..4 {
        assert_eq!(load(&mut pager, toy, page), Ok(100 + page as u32), "page {page}");
    }
    toy.broken.lock().unwrap().clear();
    assert_eq!(load(&mut pager, toy, 4), Ok(0), "the disk works again");
}

#[test]
fn a_page_that_cannot_be_read_is_lost_and_nothing_else() {
    let (mut pager, toy) = pager(2, 8);
    assert!(pager.create(1) && pager.switch(1));
    for page in 0..4 {
        pager.extend().unwrap();
        store(&mut pager, toy, page, 100 + page as u32).unwrap();
    }
    toy.broken.lock().unwrap().push(0);
    assert_eq!(load(&mut pager, toy, 0), Err(Fault::Lost));
    for page in 1..4 {
        assert_eq!(load(&mut pager, toy, page), Ok(100 + page as u32), "page {page}");
    }
    toy.broken.lock().unwrap().clear();
    assert_eq!(load(&mut pager, toy, 0), Ok(100), "the disk works again");
}

#[test]
fn many_processes_come_and_go() {
    let (mut pager, toy) = pager(3, 10);
    for process in 1..3000 {
        assert!(pager.create(process) && pager.switch(process));
        for page in 0..4 {
            assert_eq!(pager.extend(), Ok(address(page)));
            assert_eq!(load(&mut pager, toy, page), Ok(0), "another process's bytes");
            store(&mut pager, toy, page, process as u32).unwrap();
        }
        // Two at a time.
        if process > 1 {
            assert!(pager.switch(process - 1));
            assert_eq!(load(&mut pager, toy, 3), Ok(process as u32 - 1));
            pager.destroy();
        }
    }
}
