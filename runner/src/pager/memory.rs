//! The machine under the pager: physical memory, the disk, and the page tables that applications see.
//!
//! Physical memory is `frames` frames. Each application has a frame file, a memory file with a place for every
//! frame, and a frame lies in the file of the application that it belongs to and nowhere else.
//! So an application that does not give up its mappings still sees its own file only: what was
//! taken from it reads as zeros there, and another's bytes were never in it. When it ends, its
//! file is cut off, and the memory is free whatever still maps it.
//!
//! Nothing here is mapped: all bytes go by read and write, so an application that cuts its file short
//! causes no signal here.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use external_pager::machine::{Failed, Machine};
use external_pager::protocol::{Answer, Change, Entry, PAGE_SIZE};
use rustix::fs::{fallocate, ftruncate, memfd_create, FallocateFlags, MemfdFlags};

use super::events::{say, Events};

/// The machine.
pub struct Memory {
    frames: u32,
    disk: File,
    events: &'static Events,
    /// One thread uses it; the lock is there because the engine could have many.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The frame file of each application.
    files: HashMap<i32, Arc<File>>,
    /// The file in which each frame lies.
    homes: HashMap<u32, Arc<File>>,
    /// The application that runs.
    running: i32,
    /// What its page table says since it was last told. `None`: too much to list.
    changes: Option<Vec<Change>>,
    /// The last block could not be written, which has been said.
    unwritable: bool,
}

impl Memory {
    /// A machine with so many frames, and a disk of so many blocks: a file without a name in `directory`,
    /// with its space reserved.
    pub fn new(frames: u32, blocks: u32, directory: &Path, events: &'static Events) -> Result<Memory> {
        let disk =
            tempfile::tempfile_in(directory).with_context(|| format!("cannot make the disk in {}", directory.display()))?;
        if blocks > 0 {
            fallocate(&disk, FallocateFlags::empty(), 0, place(blocks))
                .with_context(|| format!("cannot reserve {blocks} disk blocks in {}", directory.display()))?;
        }
        Ok(Memory { frames, disk, events, state: Mutex::default() })
    }

    /// A new application.
    pub fn add(&self, process: i32) -> io::Result<()> {
        let file: File = memfd_create("vm-pager-frames", MemfdFlags::CLOEXEC)?.into();
        ftruncate(&file, place(self.frames))?;
        self.state().files.insert(process, Arc::new(file));
        Ok(())
    }

    /// An application's frame file, to be sent to it.
    pub fn file(&self, process: i32) -> Option<Arc<File>> {
        self.state().files.get(&process).cloned()
    }

    /// An application has ended: its memory is free at once, whatever still maps it.
    pub fn remove(&self, process: i32) {
        let mut state = self.state();
        if let Some(file) = state.files.remove(&process) {
            state.homes.retain(|_, home| !Arc::ptr_eq(home, &file));
            // It fails if the application cut its file off itself: then nothing is left to free.
            let _ = ftruncate(file.as_fd(), 0);
        }
    }

    /// The application runs, and maps nothing yet: frames come to it from now on.
    pub fn run(&self, process: i32) {
        let mut state = self.state();
        state.running = process;
        state.changes = Some(Vec::new());
    }

    /// What changed in the page table of the running application since it was last told; `None`: too
    /// much to list.
    pub fn take_changes(&self) -> Option<Vec<Change>> {
        self.state().changes.replace(Vec::new())
    }

    /// Reads bytes of a frame. What its application has cut off of its file is lost, to it alone: zeros.
    pub fn bytes(&self, frame: u32, offset: usize, to: &mut [u8]) -> io::Result<()> {
        let home = self.state().homes.get(&frame).cloned().ok_or(io::ErrorKind::NotFound)?;
        match home.read_exact_at(to, place(frame) + offset as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => to.fill(0),
            other => return other,
        }
        Ok(())
    }

    fn read_block(&self, block: u32, frame: u32) -> io::Result<()> {
        let mut bytes = [0; PAGE_SIZE];
        self.disk.read_exact_at(&mut bytes, place(block))?;
        self.bring_home(frame)?.write_all_at(&bytes, place(frame))
    }

    fn write_block(&self, block: u32, frame: u32) -> io::Result<()> {
        let mut bytes = [0; PAGE_SIZE];
        self.bytes(frame, 0, &mut bytes)?;
        self.disk.write_all_at(&bytes, place(block))
    }

    /// The frame leaves the file where it was, and is all zero in the running application's.
    fn bring_home(&self, frame: u32) -> io::Result<Arc<File>> {
        let mut state = self.state();
        let file = state.files.get(&state.running).cloned().ok_or(io::ErrorKind::NotFound)?;
        let make_hole = |file: &File| {
            let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(file, mode, place(frame), PAGE_SIZE as u64)
        };
        if let Some(old) = state.homes.insert(frame, Arc::clone(&file)).filter(|old| !Arc::ptr_eq(old, &file)) {
            make_hole(&old)?;
        }
        make_hole(&file)?;
        Ok(file)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transfer that failed is said, and undone by whoever asked for it.
    fn check(&self, what: &str, number: u32, result: io::Result<()>) -> Result<(), Failed> {
        result.map_err(|error| {
            say(format_args!("cannot {what} {number}: {error}"));
            Failed
        })
    }
}

impl Machine for Memory {
    fn clear(&self, frame: u32) {
        let _ = self.check("clear frame", frame, self.bring_home(frame).map(|_| ()));
    }

    fn read(&self, block: u32, frame: u32) -> Result<(), Failed> {
        self.events.line(format_args!("disk_read({block}, {frame})"));
        self.check("read disk block", block, self.read_block(block, frame))
    }

    fn write(&self, block: u32, frame: u32) -> Result<(), Failed> {
        self.events.line(format_args!("disk_write({block}, {frame})"));
        let written = self.write_block(block, frame);
        let said = std::mem::replace(&mut self.state().unwritable, written.is_err());
        // Of a dead disk every page is tried in vain, time and again: once is enough.
        if said && written.is_err() {
            return Err(Failed);
        }
        self.check("write disk block", block, written)
    }

    fn set_entry(&self, process: i32, page: u32, entry: Entry) {
        let mut state = self.state();
        // Others map nothing until they run again.
        if state.running != process {
            return;
        }
        let Some(changes) = &mut state.changes else {
            return;
        };
        changes.retain(|change| change.page != page);
        changes.push(Change { page, entry });
        if changes.len() > Answer::MOST_CHANGES {
            state.changes = None;
        }
    }
}

/// Where a frame or block begins in its file.
fn place(number: u32) -> u64 {
    u64::from(number) * PAGE_SIZE as u64
}
