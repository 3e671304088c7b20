//! The pager against a map of blocks to bytes, on the real engine with 64 frames: whatever is
//! allocated, written, read, moved, freed and swapped, by however many threads, every byte is what
//! was written last; in the end every frame, slot and promise is accounted for.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may.

mod world;

use std::fs;
use std::os::fd::AsRawFd;
use std::sync::Mutex;

use proptest::prelude::*;
use vmcore::events::stats::Counter;
use vmcore::page::{Access, State};
use vmcore::pager::Outcome;
use vmcore::policy::{by_name, Policy, POLICIES};
use world::{copy, Block, Worker, World, PAGE};

#[derive(Clone, Debug)]
enum Step {
    Allocate(usize),
    Write(usize, usize, usize, u8),
    Read(usize, usize, usize),
    Touch(usize, bool),
    Resize(usize, usize),
    Free(usize),
    /// Leaves a block to the other threads, or takes one of theirs.
    Exchange(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![10 => 1usize..3000, 6 => 3000usize..5 * PAGE, 1 => 32 * PAGE..48 * PAGE];
    let any = any::<usize>;
    prop_oneof![
        8 => size.clone().prop_map(Step::Allocate),
        10 => (any(), any(), any(), 0u8..4).prop_map(|(i, at, n, byte)| Step::Write(i, at, n, byte)),
        10 => (any(), any(), any()).prop_map(|(i, at, n)| Step::Read(i, at, n)),
        4 => (any(), proptest::bool::ANY).prop_map(|(i, write)| Step::Touch(i, write)),
        2 => (any(), size).prop_map(|(i, n)| Step::Resize(i, n)),
        5 => any().prop_map(Step::Free),
        2 => any().prop_map(Step::Exchange),
    ]
}

/// A range of a block of `len` bytes.
fn range(len: usize, at: usize, n: usize) -> std::ops::Range<usize> {
    let at = at % len;
    at..at + 1 + n % (len - at)
}

/// What one thread does; the blocks that it is left with.
fn run(worker: &Worker, steps: &[Step], exchange: &Mutex<Vec<Block>>) -> Vec<Block> {
    let engine = worker.place.engine;
    let mut blocks: Vec<Block> = Vec::new();
    for step in steps {
        let count = blocks.len();
        match *step {
            Step::Allocate(len) => blocks.extend(worker.allocate(len)),
            Step::Exchange(i) => {
                let mut others = exchange.lock().unwrap();
                if count > 0 && others.len() < 4 {
                    others.push(blocks.swap_remove(i % count));
                } else {
                    blocks.extend(others.pop());
                }
            }
            _ if count == 0 => {}
            Step::Write(i, at, n, byte) => {
                let block = &mut blocks[i % count];
                let range = range(block.bytes.len(), at, n);
                // Zeros are bytes, too: pages of them need no slot.
                block.bytes[range.clone()].fill(byte.wrapping_mul(at as u8));
                let address = block.address + range.start;
                let part = &mut block.bytes[range];
                assert_eq!(copy(engine, address, part, Access::Write), part.len());
            }
            Step::Read(i, at, n) => check(&blocks[i % count], at, n, engine),
            Step::Touch(i, write) => {
                let block = &blocks[i % count];
                let access = if write { Access::Write } else { Access::Read };
                assert_eq!(engine.fault(block.address, access, false), Outcome::Resolved);
            }
            Step::Resize(i, len) => {
                let block = &mut blocks[i % count];
                if engine.find(block.address).unwrap().base == worker.place.base {
                    worker.resize(block, len);
                }
            }
            Step::Free(i) => worker.free(blocks.swap_remove(i % count)),
        }
    }
    blocks
}

fn check(block: &Block, at: usize, n: usize, engine: &'static vmcore::engine::Engine) {
    let range = range(block.bytes.len(), at, n);
    let mut found = vec![0; range.len()];
    assert_eq!(copy(engine, block.address + range.start, &mut found, Access::Read), found.len());
    assert!(found == block.bytes[range], "the block at {:#x} holds something else", block.address);
}

/// Runs the threads in a new world of that policy, and checks it before and after all is freed.
fn agrees(policy: &'static dyn Policy, swap_pages: u64, threads: &[Vec<Step>]) {
    let world = World::new(policy, swap_pages);
    let exchange = Mutex::new(Vec::new());
    let workers: Vec<Worker> = (0..threads.len() as u32).map(|number| Worker::new(&world, number)).collect();
    world.engine.set_threads(threads.len() as u32);
    let left: Vec<Vec<Block>> = std::thread::scope(|scope| {
        let running: Vec<_> =
            workers.iter().zip(threads).map(|(worker, steps)| scope.spawn(|| run(worker, steps, &exchange))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    world.check_at_rest();
    for block in left.into_iter().flatten().chain(exchange.into_inner().unwrap()) {
        check(&block, 0, usize::MAX - 1, world.engine);
        workers[0].free(block);
    }
    world.end();
}

fn policy() -> impl Strategy<Value = &'static dyn Policy> {
    proptest::sample::select(&POLICIES[..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_thread_finds_what_it_wrote(
        policy in policy(), swap in prop_oneof![Just(0u64), 16u64..200], steps in proptest::collection::vec(step(), 1..400)
    ) {
        agrees(policy, swap, &[steps]);
    }

    #[test]
    fn three_threads_find_what_they_wrote(
        policy in policy(), swap in 60u64..200, steps in proptest::collection::vec(proptest::collection::vec(step(), 200..600), 3)
    ) {
        agrees(policy, swap, &steps);
    }
}

/// A world with a block of 100 pages, each with its own bytes: more than there are frames.
fn crowded() -> (World, Worker, Block) {
    let world = World::new(by_name(b"clock").unwrap(), 200);
    let worker = Worker::new(&world, 0);
    let mut block = worker.allocate(100 * PAGE).unwrap();
    for (i, byte) in block.bytes.iter_mut().enumerate() {
        *byte = (i / PAGE + i % 251) as u8 | 1;
    }
    assert_eq!(copy(world.engine, block.address, &mut block.bytes, Access::Write), block.bytes.len());
    (world, worker, block)
}

/// The swap file, reached through another descriptor for as long as this lives.
struct Replaced {
    fd: i32,
    kept: i32,
}

impl Replaced {
    fn new(world: &World, by: &fs::File) -> Replaced {
        let fd = world.swap_fd();
        // SAFETY: descriptors of this test only; the engine goes on with what the number means.
        unsafe {
            let kept = libc::dup(fd);
            assert_eq!(libc::dup2(by.as_raw_fd(), fd), fd);
            Replaced { fd, kept }
        }
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            libc::dup2(self.kept, self.fd);
            libc::close(self.kept);
        }
    }
}

fn swap_path(world: &World) -> String {
    format!("/proc/self/fd/{}", world.swap_fd())
}

#[test]
fn a_page_that_cannot_be_read_is_lost_alone_and_only_as_long() {
    let (world, worker, block) = crowded();
    let write_only = fs::OpenOptions::new().write(true).open(swap_path(&world)).unwrap();
    let replaced = Replaced::new(&world, &write_only);
    let (mut lost, mut kept) = (0, 0);
    for page in 0..100 {
        let address = block.address + page * PAGE;
        let (place, number) = world.engine.find_page(address).unwrap();
        let swapped = place.entry(number).load().state() == State::Swapped;
        let outcome = world.engine.fault(address, Access::Read, false);
        assert_eq!(outcome, if swapped { Outcome::Lost } else { Outcome::Resolved });
        assert_eq!(place.entry(number).load().state() == State::Swapped, swapped, "the page stays what it is");
        if swapped {
            if lost == 0 {
                assert_eq!(world.engine.pin(address, 10, Access::Write, false), 0);
            }
            lost += 1;
        } else {
            check(&block, page * PAGE, PAGE - 1, world.engine);
            kept += 1;
        }
    }
    assert!(lost > 40 && kept > 40, "{lost} {kept}");
    assert_eq!(world.count(Counter::SwapErrors), lost + 1);
    world.check_at_rest();
    drop(replaced);
    check(&block, 0, usize::MAX - 1, world.engine);
    worker.free(block);
    world.end();
}

/// While the swap file cannot be written, a new page waits, and nothing is lost.
fn stays_until_it_can_be_written(broken: impl FnOnce(&World) -> fs::File) {
    let (world, worker, block) = crowded();
    let replaced = Replaced::new(&world, &broken(&world));
    std::thread::scope(|scope| {
        let world = &world;
        scope.spawn(move || {
            while world.count(Counter::SwapErrors) < 3 {
                std::thread::yield_now();
            }
            drop(replaced);
        });
        // Needs frames: dirty pages have to leave.
        let mut fresh = worker.allocate(8 * PAGE).unwrap();
        fresh.bytes.fill(1);
        let len = fresh.bytes.len();
        assert_eq!(copy(world.engine, fresh.address, &mut fresh.bytes, Access::Write), len);
        check(&fresh, 0, len, world.engine);
        worker.free(fresh);
    });
    world.check_at_rest();
    check(&block, 0, usize::MAX - 1, world.engine);
    worker.free(block);
    world.end();
}

#[test]
fn pages_stay_while_the_swap_file_cannot_be_written() {
    stays_until_it_can_be_written(|world| fs::File::open(swap_path(world)).unwrap());
}

#[test]
fn pages_stay_while_the_disk_is_full() {
    stays_until_it_can_be_written(|_| fs::OpenOptions::new().read(true).write(true).open("/dev/full").unwrap());
}
