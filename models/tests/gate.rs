//! `gate.rs`: the owner's cheap way in, and those who close the gate.
//!
//! The barrier on every running thread of the process is modelled as the fence that it puts into the
//! owner: between the owner's store to `inside` and its load of `closed`.

use loom::cell::UnsafeCell;
use loom::sync::atomic::{fence, AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use models::every_order;
use models::futex::Futex;

struct Gate {
    inside: AtomicU32,
    closed: AtomicU32,
    futex: Futex,
    closers: Mutex<()>,
    heap: UnsafeCell<u32>,
}

impl Gate {
    fn new() -> Arc<Gate> {
        Arc::new(Gate {
            inside: AtomicU32::new(0),
            closed: AtomicU32::new(0),
            futex: Futex::default(),
            closers: Mutex::new(()),
            heap: UnsafeCell::new(0),
        })
    }

    /// `Gate::enter` of the owner.
    fn enter(&self) {
        self.inside.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.closed.load(Ordering::Acquire) != 0 {
            self.enter_slowly();
        }
    }

    /// `Gate::enter_slowly`. Loom takes sequentially consistent accesses for weaker than they are, and
    /// needs the fence said.
    fn enter_slowly(&self) {
        loop {
            self.inside.store(0, Ordering::Release);
            while self.closed.load(Ordering::Acquire) != 0 {
                self.futex.wait(|| self.closed.load(Ordering::SeqCst) == 1);
            }
            self.inside.store(1, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if self.closed.load(Ordering::SeqCst) == 0 {
                return;
            }
        }
    }

    /// `Gate::leave`.
    fn leave(&self) {
        self.inside.store(0, Ordering::Release);
    }

    /// `Gate::close`, with the barrier.
    fn close(&self) {
        self.closed.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        while self.inside.load(Ordering::Acquire) != 0 {
            thread::yield_now();
        }
    }

    /// `Gate::open`.
    fn open(&self) {
        if self.closed.swap(0, Ordering::Release) != 0 {
            self.futex.wake_all();
        }
    }

    fn work(&self) {
        // SAFETY: loom checks that nobody else is here.
        self.heap.with_mut(|heap| unsafe { *heap += 1 });
    }

    fn as_owner(&self) {
        self.enter();
        self.work();
        self.leave();
    }

    /// `Engine::with_closed`.
    fn as_other(&self) {
        let closer = self.closers.lock();
        self.close();
        self.work();
        self.open();
        drop(closer);
    }
}

fn owner_and(others: usize, entries: u32) {
    let gate = Gate::new();
    let threads: Vec<_> = (0..others)
        .map(|_| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.as_other())
        })
        .collect();
    for _ in 0..entries {
        gate.as_owner();
    }
    for thread in threads {
        assert!(thread.join().is_ok());
    }
    // SAFETY: the others have ended.
    assert_eq!(gate.heap.with(|heap| unsafe { *heap }), others as u32 + entries);
}

#[test]
fn the_owner_and_another_are_never_inside_together() {
    every_order(3, || owner_and(1, 2));
}

#[test]
fn nor_with_two_others() {
    every_order(2, || owner_and(2, 1));
}
